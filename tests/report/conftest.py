from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    """What a drawing library warns of is a fault. What earlier tests left to the garbage collector isn't one of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for category in (ResourceWarning, pytest.PytestUnraisableExceptionWarning):
            warnings.simplefilter("ignore", category)
        yield
