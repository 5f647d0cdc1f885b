#!/usr/bin/env bash
# Streamlit 1.67.0: components of version 2 refuse a `key` with two underscores in a row, which every other widget takes.
# Neither the signature nor the docstring of the component says so. With keys made from random tokens (those of
# `secrets.token_urlsafe` hold `_`) a page fails now and then: about once in 600 keys of eight such letters.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet streamlit==1.67.0
cat > "$place/keys.py" <<'PY'
from streamlit.testing.v1 import AppTest


def page(key):
    import streamlit as st

    st.text_input("Name", key=f"text-{key}")
    box = st.components.v2.component("demo.box", html="<p>box</p>", js="export default () => {}")
    box(key=f"box-{key}")


for key in ("a_b", "a__b"):
    test = AppTest.from_function(page, args=(key,)).run()
    print(key, "text input drawn:", len(test.text_input) == 1, "refused:", [error.message for error in test.exception])
PY
"$place/venv/bin/python" "$place/keys.py" 2>/dev/null | grep "^a_" | tee "$place/seen"
diff - "$place/seen" <<'SEEN'
a_b text input drawn: True refused: []
a__b text input drawn: True refused: ["The `base` of a bidirectional component's ID must not contain the delimiter sequence `__`."]
SEEN
echo "As stated."
