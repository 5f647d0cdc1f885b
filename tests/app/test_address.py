"""The address of a page and its widgets: each follows the other."""

from __future__ import annotations

import time

from streamlit.testing.v1 import AppTest

from app.components.address import OVERTAKEN_SECONDS
from tests.app.pages import sound


def _page() -> None:
    import streamlit as st

    from app.components.address import pick_view

    st.write("shown: " + pick_view({"photos": "Photos", "audit": "Audit", "charts": "Charts"}, "photos", "view"))


def shown(test: AppTest) -> str:
    return str(sound(test).markdown[0].value)


def test_the_address_chooses_the_view_and_a_choice_writes_the_address() -> None:
    test = AppTest.from_function(_page).run()
    assert shown(test) == "shown: photos"
    test.query_params["view"] = "audit"
    assert shown(test.run()) == "shown: audit"
    assert shown(test.segmented_control[0].set_value("charts").run()) == "shown: charts"
    assert test.query_params["view"] == "charts"
    assert shown(test.segmented_control[0].set_value("photos").run()) == "shown: photos"
    assert "view" not in test.query_params
    test.query_params["view"] = "nonsense"
    assert shown(test.run()) == "shown: photos"


def test_a_run_with_the_address_from_before_a_choice_does_not_undo_it() -> None:
    test = AppTest.from_function(_page).run()
    test.segmented_control[0].set_value("audit").run()
    del test.query_params["view"]  # as work that ends at that moment has the page run again
    assert shown(test.run()) == "shown: audit"
    assert test.query_params["view"] == "audit"
    time.sleep(OVERTAKEN_SECONDS)
    del test.query_params["view"]  # a link, or the way back
    assert shown(test.run()) == "shown: photos"
