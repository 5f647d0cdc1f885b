"""The page Workflow on a machine that nobody has measured yet: it recommends at once, and trains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.client as clients
from tests.app.pages import opened, show, sound, words
from tests.data.audit.pictures import photos
from workflows.data.importing import add_dataset
from workflows.store.store import Store

pytestmark = pytest.mark.timeout(1200)
ADVICE_SECONDS = 240.0


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with opened(tmp_path / "home", monkeypatch) as store:
        add_dataset(store, "birds", photos(tmp_path / "birds", jays=20, robins=20))
        yield store


def test_rough_times_stand_there_at_once_and_measured_ones_follow(store: Store) -> None:
    shown = show("workflow", dataset="birds", goal="fast")
    part = clients.client().workflows
    [job] = clients.client().jobs.of("birds", "recommend")
    basis = part.rough_advice("birds").speed.basis
    assert basis.startswith("assumed") and basis in words(shown)
    draft = shown.session_state["workflow-draft"]
    assert draft.rough and draft.workflow.estimate is not None

    key = f"node-{draft.turn}-augmentation-rotate"
    sound(shown.number_input(key=key).set_value(12.0).run())
    before = {run.run_id for run in store.runs.list()}
    shown.button(key="train-start").click().run()  # it leads to the page Run, which is not part of this test
    [run] = [run for run in store.runs.list() if run.run_id not in before]
    clients.client().studio.cancel(run.run_id)

    end = time.monotonic() + ADVICE_SECONDS
    while job.running:
        assert time.monotonic() < end, job
        time.sleep(0.1)
    assert job.error is None, job.error
    measured = part.advice("birds")
    assert measured is not None and not measured.rough
    later = show("workflow", dataset="birds", goal="fast")
    assert basis not in words(later)
    assert not later.session_state["workflow-draft"].rough
    assert later.button(key="advice-refresh")


def test_the_machine_is_measured_once_for_all_data_sets(store: Store) -> None:
    from workflows.recommend.estimate import Speed
    from workflows.recommend.hardware import cpu_hardware
    from workflows.recommend.probes import forget_probes, store_probe, stored_probe

    hardware = cpu_hardware()
    store_probe(store, hardware, Speed(7.0, "only assumed"))
    assert stored_probe(store, hardware) is None
    store_probe(store, hardware, Speed(7.0, "measured", "probe"))
    assert stored_probe(store, hardware) == Speed(7.0, "measured", "probe")
    advice = clients.client().workflows.rough_advice("birds")
    assert advice.rough and advice.speed.images_per_second == 7.0
    forget_probes(store)
    assert stored_probe(store, hardware) is None
