"""The address of a page and its widgets: each follows the other."""

from __future__ import annotations

import time

from streamlit.testing.v1 import AppTest

from app.components.address import OVERTAKEN_SECONDS
from tests.app.pages import sound


def _page() -> None:
    import streamlit as st

    from app.components.address import change_address, kept_address, pick_view

    def note() -> None:
        change_address({"step": str(st.session_state["slider"])})

    with kept_address("page"):
        view = pick_view({"photos": "Photos", "audit": "Audit", "charts": "Charts"}, "photos", "view")
        st.session_state["slider"] = int(st.query_params.get("step", "1"))
        step = st.select_slider("Step", [1, 2, 3], key="slider", on_change=note)
        st.write(f"shown: {view} {step}")


def shown(test: AppTest) -> str:
    return str(sound(test).markdown[0].value)


def test_the_address_chooses_the_view_and_a_choice_writes_the_address() -> None:
    test = AppTest.from_function(_page).run()
    assert shown(test) == "shown: photos 1"
    test.query_params["view"] = "audit"
    assert shown(test.run()) == "shown: audit 1"
    assert shown(test.segmented_control[0].set_value("charts").run()) == "shown: charts 1"
    assert test.query_params["view"] == "charts"
    assert shown(test.segmented_control[0].set_value("photos").run()) == "shown: photos 1"
    assert "view" not in test.query_params
    test.query_params["view"] = "nonsense"
    assert shown(test.run()) == "shown: photos 1"


def test_a_run_with_the_address_from_before_a_choice_does_not_undo_it() -> None:
    test = AppTest.from_function(_page).run()
    test.segmented_control[0].set_value("audit").run()
    test.query_params.clear()  # as work that ends at that moment has the page run again
    assert shown(test.run()) == "shown: audit 1"
    assert test.query_params == {"view": "audit"}
    time.sleep(OVERTAKEN_SECONDS)
    test.query_params.clear()  # a link, or the way back
    assert shown(test.run()) == "shown: photos 1"


def test_choices_in_a_row_all_stay() -> None:
    test = AppTest.from_function(_page).run()
    test.select_slider[0].set_value(3).run()
    test.query_params.clear()  # the browser has not heard of the choice when the next is made
    assert shown(test.segmented_control[0].set_value("audit").run()) == "shown: audit 3"
    test.query_params.clear()
    assert shown(test.run()) == "shown: audit 3"
    assert shown(test.select_slider[0].set_value(1).run()) == "shown: audit 1"
    assert shown(test.select_slider[0].set_value(3).run()) == "shown: audit 3"  # there and back: both are choices
    assert shown(test.segmented_control[0].set_value("photos").run()) == "shown: photos 3"
