#!/usr/bin/env bash
# Streamlit 1.67.0's AppTest meets multiprocessing: after `AppTest.run()` the page that was tested is still the process's
# main module. A process started afterwards by the methods "spawn" or "forkserver" therefore runs the page once more, as
# `__mp_main__`, outside Streamlit, before it does its work; where the page fails there, the process ends with its
# traceback. A test of a page may so break another test in the same process that starts a process.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet streamlit==1.67.0
cat > "$place/page.py" <<'PY'
import os

import streamlit as st

with open(os.environ["LOG"], "a") as log:
    log.write(f"page as {__name__}\n")
st.write("hello")
PY
cat > "$place/work.py" <<'PY'
import os


def work():
    with open(os.environ["LOG"], "a") as log:
        log.write("work\n")
PY
cat > "$place/test.py" <<'PY'
import multiprocessing
import sys

from streamlit.testing.v1 import AppTest
from work import work

if __name__ == "__main__":
    mine = sys.modules["__main__"]
    AppTest.from_file("page.py").run()
    print("the main module is the test's:", sys.modules["__main__"] is mine)
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
PY
cd "$place"
LOG="$place/log" venv/bin/python test.py 2>/dev/null | tee seen
tee -a seen < log
diff - seen <<'SEEN'
the main module is the test's: False
page as __main__
page as __mp_main__
work
SEEN
echo "As stated."
