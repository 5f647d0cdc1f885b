"""Finding data sets and their versions."""

from __future__ import annotations

import pytest

from tests.data.conftest import MakeImages
from tests.texts import mentions
from workflows.data.catalog import get_version, list_datasets, list_versions
from workflows.data.importing import add_dataset
from workflows.errors import DatasetError
from workflows.store.store import Store


def test_lookup(store: Store, make_images: MakeImages) -> None:
    with pytest.raises(DatasetError, match="'flowers'") as caught:
        get_version(store, "flowers")
    assert "dataset add" in caught.value.hint
    source = make_images(a=5, b=5)
    first = add_dataset(store, "flowers", source).version
    second = add_dataset(store, "flowers", make_images(a=6, b=5)).version
    other = add_dataset(store, "ants", source).version
    assert get_version(store, "flowers") == second and get_version(store, "flowers", 1) == first
    assert list_datasets(store) == [other, second]
    assert list_versions(store, "flowers") == [first, second]
    with pytest.raises(DatasetError, match=r"\b3\b") as caught:
        get_version(store, "flowers", 3)
    assert "1 to 2" in caught.value.hint
    with pytest.raises(DatasetError) as caught:
        get_version(store, "flowrs")
    assert mentions(caught.value.hint, "flowers")
