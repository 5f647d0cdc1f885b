"""The answers that are kept: the newest, whole, and not for ever."""

from __future__ import annotations

from pathlib import Path

from workflows.store.recent import KEPT, RecentAnswers


def test_answers_are_kept_by_run_and_survive_a_torn_line(tmp_path: Path) -> None:
    recent = RecentAnswers(tmp_path)
    recent.add("run-a", [("ash", 0.9), ("birch", 0.123456)])
    recent.add("run-b", [("cedar", 1.0)])
    recent.add("run-a", [])
    with (tmp_path / "recent" / "run-a.jsonl").open("a") as file:
        file.write('["2026')
    assert [(label, confidence) for _, label, confidence in recent.read("run-a")] == [("ash", 0.9), ("birch", 0.12346)]
    assert recent.read("nobody") == []


def test_the_log_is_rolled_over(tmp_path: Path) -> None:
    recent = RecentAnswers(tmp_path)
    for part in range(5):
        recent.add("run", [(str(part), 0.5)] * (KEPT // 2))
    assert len(recent.read("run", limit=10 * KEPT)) <= 2 * KEPT
    newest = recent.read("run")
    assert len(newest) == KEPT and newest[-1][1] == "4" and newest[0][1] == "3"
