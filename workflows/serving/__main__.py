"""The inference server as the studio's child: `python -m workflows.serving --port 0`.

Writes one line to stdout once it answers: `ready http://127.0.0.1:PORT`. Ends with the process that started it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from workflows.errors import FieldguideError
from workflows.serving.door import open_socket, read_token
from workflows.serving.limits import Settings
from workflows.serving.server import serve
from workflows.store.store import Store


def main() -> int:
    """Serve on loopback until the parent ends; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workflows.serving", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--run", default="latest", help="the model that answers when a request names none")
    parser.add_argument("--token-file", type=Path, help="holds the token that requests must carry")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the process to end with")
    chosen = parser.parse_args()
    try:
        token = read_token(chosen.token_file) if chosen.token_file else ""
        settings = Settings(run=chosen.run, studio=True, token=token, device=chosen.device)
        serve(Store(), settings, open_socket("127.0.0.1", chosen.port), _say_ready, chosen.parent)
    except FieldguideError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _say_ready(address: str) -> None:
    sys.stdout.write(f"ready {address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
