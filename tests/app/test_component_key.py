"""Galleries and drop zones whose keys hold what chance or a person wrote."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from streamlit.testing.v1 import AppTest

from app.components.component_key import component_key

KEYS = some.text(alphabet="_-a", max_size=8)


@given(KEYS)
def test_no_key_holds_two_underscores_in_a_row(key: str) -> None:
    assert "__" not in component_key(key)


@given(KEYS, KEYS)
def test_different_keys_stay_different(one: str, other: str) -> None:
    assert (component_key(one) == component_key(other)) == (one == other)


def test_a_gallery_takes_a_key_with_underscores() -> None:
    def page() -> None:
        from app.components.gallery import Tile, gallery

        gallery([Tile(key="one", image=None, caption="one")], key="bees__ants_")

    assert not AppTest.from_function(page).run().exception
