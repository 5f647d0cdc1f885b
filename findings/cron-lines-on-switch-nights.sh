#!/usr/bin/env bash
# One cron line, two libraries, the night on which Berlin's clocks go back (2026-10-25, 02:00 to 03:00 comes twice):
#
# * croniter 7.0.0, given a start with a time zone, fires `30 2 * * *` twice that night; cronsim 2.8 fires it once.
# * cronsim 2.8 fires `0,30 2 * * *` twice that night and `*/30 2 * * *` four times, though both name the minutes 0 and
#   30: a step counts as a wildcard line there, and wildcard lines follow elapsed time. In the night on which the clocks
#   go forward (2026-03-29) the list fires once, late, and the step not at all.
#
# Whoever offers schedules by cron line has to decide what these nights do, and can't leave it to the library.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet croniter==7.0.0 cronsim==2.8 tzdata==2026.6
cat > "$place/nights.py" <<'PY'
from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

berlin = ZoneInfo("Europe/Berlin")
for night in ("2026-10-25", "2026-03-29"):
    start = datetime.fromisoformat(f"{night}T00:30").replace(tzinfo=berlin)
    for line in ("30 2 * * *", "0,30 2 * * *", "*/30 2 * * *"):
        counts = []
        for times in (croniter(line, start).all_next(datetime), CronSim(line, start)):
            found = [next(times).isoformat() for _ in range(6)]
            counts.append(sum(moment.startswith(night) for moment in found))
        print(f"{night} {line:13} croniter {counts[0]} cronsim {counts[1]}")
PY
"$place/venv/bin/python" "$place/nights.py" | tee "$place/seen"
diff - "$place/seen" <<'SEEN'
2026-10-25 30 2 * * *    croniter 2 cronsim 1
2026-10-25 0,30 2 * * *  croniter 4 cronsim 2
2026-10-25 */30 2 * * *  croniter 4 cronsim 4
2026-03-29 30 2 * * *    croniter 1 cronsim 1
2026-03-29 0,30 2 * * *  croniter 1 cronsim 1
2026-03-29 */30 2 * * *  croniter 1 cronsim 0
SEEN
echo "As stated."
