"""The inference server as the studio's child process: `python -m workflows.serving --port 0`.

With `--pinned` it serves one model to people's own programs, and nothing else of the store. Writes one line to stdout when it is ready: `ready http://127.0.0.1:PORT`. Ends with the process that started it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from workflows.errors import FieldguideError, UsageError
from workflows.serving.limits import ServerSettings
from workflows.serving.listening import is_loopback, open_socket, read_token
from workflows.serving.naming import run_resolver
from workflows.store.store import Store


def main() -> int:
    """Serve until the parent ends; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m workflows.serving", description=__doc__)
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on; other machines' access needs a token"
    )
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--run", default="latest", help="the model for requests without one")
    parser.add_argument("--pinned", action="store_true", help="serve only that model, and no images of the store")
    parser.add_argument("--token-file", type=Path, help="file with the token that requests must send")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the process to end with")
    chosen = parser.parse_args()
    try:
        token = read_token(chosen.token_file) if chosen.token_file else ""
        loopback = is_loopback(chosen.host)
        if not loopback and not token:
            raise UsageError(f"On {chosen.host} everyone on the network could use the model.", "Give a --token-file.")
        store, listener = Store(), open_socket(chosen.host, chosen.port)
        if chosen.pinned:
            _check(store, chosen.run)
        settings = ServerSettings(
            run=chosen.run,
            pinned=chosen.pinned,
            studio=not chosen.pinned,
            token=token,
            device=chosen.device,
            # beyond loopback the names of this machine are unknown here; the token protects it instead
            hosts=ServerSettings.hosts if loopback else (),
        )
        from workflows.serving.server import serve  # PyTorch: after everything that may be wrong

        serve(store, settings, listener, _say_ready, chosen.parent)
    except FieldguideError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _check(store: Store, name: str) -> None:
    """Raise FieldguideError where a name has no classifier."""
    from workflows.inference.model import load_card

    load_card(store.run_folder(run_resolver(store)(name)).model)


def _say_ready(address: str) -> None:
    sys.stdout.write(f"ready {address}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
