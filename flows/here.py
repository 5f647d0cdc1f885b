"""Running a flow in this process: what the command line and Python programs do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeVar

from flows.caller import Caller, caller
from flows.runtime import loopback_works, prefect_api, server_is_configured
from workflows.progress import Progress
from workflows.store.store import Store

Answer = TypeVar("Answer")


def run_here(
    store: Store, progress: Progress, module: str, flow: Callable[[], Answer], otherwise: Callable[[], Answer]
) -> Answer:
    """Run a flow against the configured server, or one for the duration of this call, and return its answer.

    Args:
        store: passed to the flow.
        progress: called with its progress.
        module: the flow's module, which takes seconds to import; it is imported while the server starts.
        flow: calls the flow.
        otherwise: does the same without Prefect, where not even this machine can talk to itself.
    """
    if not server_is_configured() and not loopback_works():
        progress("prefect", 0, 1, "the loopback interface is down: this is not shown in Prefect")
        return otherwise()
    token = caller.set(Caller(store, progress))
    try:
        with prefect_api(meanwhile=lambda: importlib.import_module(module)):
            return flow()
    finally:
        caller.reset(token)
