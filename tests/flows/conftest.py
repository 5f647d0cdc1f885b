"""One Prefect server for all tests of flows: starting it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.runtime import prefect_api


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The address of a Prefect API that flows of this process use."""
    with prefect_api() as url:
        yield url
