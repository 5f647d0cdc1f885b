"""The sheet of heat-maps says of each map what it is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from workflows.report import heatmap_sheet as sheet
from workflows.store.run_folder import RunFolder


def _explained(folder: Path, *, flat: bool | None) -> RunFolder:
    """A run with one photo and its maps by two methods, the first of which is `flat`; None: written before it was said."""
    run = RunFolder(folder)
    run.explanation.path.mkdir(parents=True)
    pixels = Image.fromarray(np.full((32, 32, 3), 90, np.uint8))
    rows = []
    for method, target, is_flat in (("eigen-cam", "rose", flat), ("grad-cam", "tulip", False)):
        pixels.save(run.explanation.heatmap("a1", method))
        row = {"image_id": "a1", "label": "tulip", "method": method, "predicted": "rose", "confidence": 0.8}
        rows.append({**row, "target": target} | ({} if flat is None else {"flat": is_flat}))
    pixels.save(run.explanation.input("a1"))
    pd.DataFrame(rows).to_csv(run.explanation.table, index=False)
    return run


@pytest.mark.parametrize(
    ("flat", "first"), [(True, "no contrast"), (False, "whatever the class"), (None, "whatever the class")]
)
def test_only_a_flat_map_is_called_without_contrast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flat: bool | None, first: str
) -> None:
    captions: list[str] = []
    draw = sheet.image_sheet

    def noted(tiles: list[tuple[np.ndarray, str, str]], **options: object) -> bytes:
        captions.extend(caption for _, caption, _ in tiles)
        return draw(tiles, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sheet, "image_sheet", noted)
    assert sheet.heatmap_sheet(_explained(tmp_path, flat=flat))
    assert [caption.replace("\N{NO-BREAK SPACE}", " ") for caption in captions] == [
        "80 % rose\ntrue: tulip",
        f"eigen-cam\n{first}",
        "grad-cam\nfor tulip",
    ]
