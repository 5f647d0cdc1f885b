#!/usr/bin/env bash
# Hugging Face datasets 5.2.0: `Dataset.to_csv` writes a column of lists as NumPy prints arrays, without commas, which
# neither JSON nor Python reads back as the same list: ['a' 'b'] is, in Python, the list of the one string 'ab'.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet datasets==5.2.0
cat > "$place/lists.py" <<'PY'
import ast
import csv
import io

from datasets import Dataset

written = io.BytesIO()
Dataset.from_dict({"file": ["one.png"], "tags": [["leaf", "rust"]]}).to_csv(written)
cell = next(csv.DictReader(io.StringIO(written.getvalue().decode())))["tags"]
print(cell, "is read as", ast.literal_eval(cell))
PY
HF_HUB_OFFLINE=1 "$place/venv/bin/python" "$place/lists.py" 2>/dev/null | tee "$place/seen"
diff - "$place/seen" <<'SEEN'
['leaf' 'rust'] is read as ['leafrust']
SEEN
echo "As stated."
