"""Photos side by side with captions, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from workflows.palette import PALETTES, Mode, Palette
from workflows.report.theme import drawable, font_path
from workflows.report.words import count, percent

TILE = 176
"""Side of a photo on a sheet, in pixels."""


def image_sheet(
    tiles: Sequence[tuple[NDArray[np.uint8], str, str]],
    *,
    heading: str = "",
    columns: int = 6,
    mode: Mode = "light",
) -> bytes:
    """Arrange photos in rows, each with a caption below.

    Args:
        tiles: For each photo its pixels (uint8 [height, width, 3]), its text (lines separated by newlines;
            too long ones are shortened) and the colour of the stripe above it (a name of the palette, such
            as `good`, `bad` or `purple`; or `#rrggbb`).
        heading: One line above all.
        columns: Photos in a row.
        mode: Light or dark paper.

    Returns:
        A PNG; without photos, one with a note.
    """
    theme = PALETTES[mode]
    lines = max((text.count("\n") + 1 for _, text, _ in tiles), default=1)
    columns = min(columns, max(len(tiles), 3))
    gap, line, top = 14, 17, 52 if heading else 14
    cell = (TILE + gap, TILE + 6 + lines * line + gap)
    rows = -(-len(tiles) // columns) if tiles else 1
    sheet = Image.new("RGB", (columns * cell[0] + gap, top + rows * cell[1]), theme.paper)
    pen = ImageDraw.Draw(sheet)
    fonts = (ImageFont.truetype(str(font_path(bold=True)), 12), ImageFont.truetype(str(font_path()), 12))
    if heading:
        big = ImageFont.truetype(str(font_path(bold=True)), 16)
        pen.text((gap, 16), _fitted(heading, big, sheet.width - 2 * gap), font=big, fill=theme.ink)
    if not tiles:
        pen.text((gap, top), "No images.", font=fonts[1], fill=theme.soft)
    for place, (pixels, text, colour) in enumerate(tiles):
        left, upper = gap + place % columns * cell[0], top + place // columns * cell[1]
        pen.rectangle((left, upper, left + TILE - 1, upper + 3), fill=getattr(theme, colour, colour))
        sheet.paste(_tile(pixels, theme), (left, upper + 4))
        for number, words in enumerate(text.split("\n")):
            place_of_line = (left, upper + TILE + 8 + number * line)
            font = fonts[min(number, 1)]
            pen.text(place_of_line, _fitted(words, font, TILE), font=font, fill=(theme.ink, theme.soft)[min(number, 1)])
    stream = BytesIO()
    sheet.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _tile(pixels: NDArray[np.uint8], theme: Palette) -> Image.Image:
    """Scale a photo into a tile without distortion; small inputs keep their pixels visible."""
    photo = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    scale = TILE / max(photo.size)
    small = max(photo.size) <= 64
    size = (max(round(photo.width * scale), 1), max(round(photo.height * scale), 1))
    photo = photo.resize(size, Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (TILE, TILE), theme.line)
    tile.paste(photo, ((TILE - photo.width) // 2, (TILE - photo.height) // 2))
    return tile


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Shorten a line until it fits."""
    limit = 200
    line = drawable(text, limit)
    while font.getlength(line) > width and limit > 4:
        limit = min(limit, len(line)) - 1
        line = drawable(text, limit)
    return line


def caption(true: str, predicted: str, confidence: float) -> str:
    """Return the caption of a photo: prediction, confidence and true class (drawable names)."""
    return f"{percent(confidence, 0)} {predicted}\ntrue: {true}"


def sheet_heading(what: str, shown: int, total: int) -> str:
    """Return the line above a sheet: `Most confidently wrong: 24 of 52 images`."""
    return f"{what}: {shown} of {count(total, 'image')}" if shown < total else f"{what}: {count(total, 'image')}"
