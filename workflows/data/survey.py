"""A survey of the raw values of a source's images before the import, to decide how all of them are rendered.

Only files that can be deep, have many bands or hold several images are opened; of each, a few numbers are recorded.
The rule for the scale of one type of samples, over all files:

1. The range that the files themselves declare (`SMinSampleValue`, `MaxSampleValue` and similar tags), if all do
   and their values are within it.
2. Whole numbers from 0: the smallest of 8, 10, 12, 14 or 16 bits that holds them all, if they reach two thirds of that
   range and spread over one, as images from a camera or scanner do. Floats: 0-1 or 0-255, in the same way.
3. Else the range of the values: from 0, or from the lowest if it is above half of the highest or below 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from workflows.data.formats import HEAD, ImageFormat, recognise
from workflows.data.image_limits import room_for
from workflows.data.images import DECODER_ERRORS, TOO_LARGE, opened, read_file
from workflows.data.rendering import Rendering, Scale
from workflows.data.samples import Samples, deep_samples, tiff_header, tiff_samples
from workflows.data.verification import cores, in_order
from workflows.data.version import DatasetVersion
from workflows.errors import ImageError, UsageError
from workflows.progress import Progress, silent

_OF_FRAMES = ("GIF", "WEBP", "AVIF", "HEIF")
_OPENED = ("TIFF", "PPM", "JPEG2000", "JXL", *_OF_FRAMES)
_ANIMATED_PNG, _DEEP_PNG = b"acTL", b"\x10"  # a chunk before the pixels; the depth in the first chunk
_DEPTHS = (8, 10, 12, 14, 16)
_REACHED = 2 / 3  # of a range, for it to be the intended one
_MASK_SHARE = 0.5  # of all pixels are wholly opaque or clear where transparency was meant
_STORED = {
    "float": "Floating-point",
    "uint16": "16-bit",
    "int16": "Signed 16-bit",
    "uint32": "32-bit",
    "int32": "32-bit",
}
_EIGHT_BITS = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_REPORT_EVERY = 100


@dataclass(frozen=True)
class Seen:
    """What was found in one file.

    Attributes:
        kind: type of its deep samples; empty if it has 8 bits.
        low: lowest raw value that would be shown.
        high: highest one.
        declared: the range of the samples declared by the file.
        bands: number of bands, if there are more or others than colours; 0 otherwise.
        fourth: (pixels, those fully opaque or clear) of a fourth band that the file declares as transparency.
        several: whether the file holds further images, pages or frames after the first.
    """

    kind: str = ""
    low: float = 0.0
    high: float = 0.0
    declared: tuple[float, float] | None = None
    bands: int = 0
    fourth: tuple[int, int] | None = None
    several: bool = False


_NOTHING = Seen()


@dataclass(frozen=True)
class Survey:
    """What was found in all files."""

    seen: tuple[Seen, ...]

    def decide(self, decided: Rendering | None, bands: tuple[int, ...] | None = None) -> Rendering:
        """Return how the images are rendered.

        Args:
            decided: the data set's existing rendering, which stays; new types of samples get their scale.
            bands: the bands to show, if chosen.
        """
        if decided is None:
            fourth = np.array([seen.fourth for seen in self.seen if seen.fourth] or [(0, 0)]).sum(axis=0)
            opaque = bands is not None or bool(fourth[1] < _MASK_SHARE * fourth[0])
            decided = Rendering(bands=bands, opaque=opaque)
        known = {scale.kind for scale in decided.scales}
        fresh = sorted({seen.kind for seen in self.seen if seen.kind} - known)
        added = tuple(_scale(kind, [seen for seen in self.seen if seen.kind == kind]) for kind in fresh)
        return replace(decided, scales=decided.scales + added)

    def notes(self, rendering: Rendering) -> list[str]:
        """Return notes for the user on how the images are rendered."""
        notes = []
        for scale in rendering.scales:
            seen = [each for each in self.seen if each.kind == scale.kind]
            if seen:
                notes.append(_scale_note(scale, seen))
                notes += _clipping_note(scale, seen)
        return notes + self._band_notes(rendering) + self.page_notes()

    def _band_notes(self, rendering: Rendering) -> list[str]:
        # a fourth band is worth a note only where it is not used as declared
        held_by = [seen.bands or (4 if rendering.opaque and seen.fourth else 0) for seen in self.seen]
        counts = sorted(set(held_by) - {0})
        if not counts:
            return []
        files = _files(len(held_by) - held_by.count(0))
        held = " or ".join(str(count) for count in counts)
        if rendering.bands is not None:
            shown = ", ".join(str(band) for band in rendering.bands)
            one = len(rendering.bands) == 1
            return [f"{files} of {held} bands: band{'' if one else 's'} {shown} {'is' if one else 'are'} shown."]
        first = "the first three are" if max(counts) > 2 else "the first is"
        fourth = " The fourth band is not used as transparency." if 4 in counts else ""
        return [
            f"{files} of {held} bands: {first} shown; others can be chosen when a data set is created (--bands).{fourth}"
        ]

    def page_notes(self) -> list[str]:
        """Return a note on files of which only a part is used."""
        number = sum(seen.several for seen in self.seen)
        return [f"{_files(number)} of several pages or frames: only the first of each is used."] if number else []


def parse_bands(text: str) -> tuple[int, ...]:
    """Return the bands of a text such as `4,3,2` or `4`.

    Raises:
        UsageError: not a list of one or three band numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (1, 3) or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(
            f"Bands must be one number or three, not {text!r}.", "For example --bands 4,3,2 (counted from 1)."
        )
    return tuple(int(part) for part in parts)


def rendering_for(
    newest: DatasetVersion | None,
    paths: Sequence[Path],
    bands: tuple[int, ...] | None = None,
    progress: Progress = silent,
    threads: int | None = None,
) -> tuple[Rendering | None, list[str]]:
    """Decide how the images of a data set's next version are rendered; return that and notes about it.

    Args:
        newest: the data set's newest version; its rendering stays.
        paths: files to be imported.
        bands: the requested bands.
        progress, threads: see :func:`survey_images`.

    Returns:
        None as rendering for a data set from before renderings existed, whose pixels must not change.

    Raises:
        UsageError: other bands than the data set has.
    """
    decided = newest.rendering() if newest is not None else None
    bound = newest is not None and (decided is not None or _differs_without(newest))
    held = decided.bands if decided is not None else None
    if bound and bands is not None and bands != held:
        shown = ",".join(map(str, held)) if held else "the first three"
        raise UsageError(
            f"Data set {newest.name if newest else ''!r} shows the bands {shown} in all its versions.",
            "To show other bands, import under another name.",
        )
    survey = survey_images(paths, held if bound else bands, progress, threads)
    if bound and decided is None:
        return None, survey.page_notes()
    rendering = survey.decide(decided, bands)
    return rendering, survey.notes(rendering)


def _differs_without(version: DatasetVersion) -> bool:
    """Return whether a version from before renderings existed has images that any rendering would change."""
    table = version.table()
    return bool((~table["mode"].isin(_EIGHT_BITS) | (table["format"] == "TIFF")).any())


def survey_images(
    paths: Sequence[Path], bands: tuple[int, ...] | None = None, progress: Progress = silent, threads: int | None = None
) -> Survey:
    """Survey the raw values of files; unreadable ones are skipped: the import will report why.

    Args:
        bands: whose values count; None means the default ones.
        progress: receives the number of files surveyed, as stage `survey`, if any must be decoded.
        threads: number of concurrent readers; default by the number of cores.
    """

    def look(path: Path) -> Seen:
        try:
            with path.open("rb") as stream:
                head = stream.read(HEAD)
            return _look(path, head, bands)
        except (ImageError, *TOO_LARGE, *DECODER_ERRORS):  # the verification will report what is wrong with it
            return _NOTHING

    seen: list[Seen] = []
    deep = False
    for each in in_order(look, paths, threads or cores() + 1):
        seen.append(each)
        deep = deep or bool(each.kind)
        if deep and (len(seen) % _REPORT_EVERY == 0 or len(seen) == len(paths)):
            progress("survey", len(seen), len(paths), "reading the range of values")
    return Survey(tuple(seen))


def _look(path: Path, head: bytes, bands: tuple[int, ...] | None) -> Seen:
    format = recognise(head)
    seen = Seen(several=format.name == "PNG" and _ANIMATED_PNG in head)
    deep_png = format.name == "PNG" and head[24:25] == _DEEP_PNG
    if format.name not in _OPENED and not deep_png:
        return seen
    content = read_file(path)
    if format.name == "TIFF":
        return _look_at_tiff(content, format, bands)
    with opened(content, format) as image:
        if format.name in _OF_FRAMES:
            return replace(seen, several=bool(getattr(image, "is_animated", False)))
        with room_for(image.width * image.height):
            image.load()
            samples = deep_samples(image, content)
    return _with_range(seen, samples, bands) if samples is not None else seen


def _look_at_tiff(content: bytes, format: ImageFormat, bands: tuple[int, ...] | None) -> Seen:
    with tiff_header(content) as header:
        seen = Seen(several=header.several_pages)
        if not header.plain:
            return seen
        colours = header.bands - (header.transparency is not None)
        if colours not in (1, 3) or (bands is not None and header.bands > 1):
            seen = replace(seen, bands=header.bands)
        samples = tiff_samples(header, Rendering(bands=bands)) if header.deep else None
        if header.bands == 4 and header.transparency == 3 and bands is None:
            seen = replace(seen, fourth=_mask_pixels(samples, content, format))
    return _with_range(seen, samples, bands) if samples is not None else seen


def _mask_pixels(samples: Samples | None, content: bytes, format: ImageFormat) -> tuple[int, int]:
    """Return how many pixels an image has, and how many of them are fully opaque or clear."""
    if samples is not None and samples.alpha is not None:
        alpha = samples.alpha
    else:
        with opened(content, format) as image, room_for(image.width * image.height):
            alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    return alpha.size, int(((alpha == 0) | (alpha == 255)).sum())


def _with_range(seen: Seen, samples: Samples, bands: tuple[int, ...] | None) -> Seen:
    extremes = samples.extremes(bands)
    if samples.kind == "uint8" or extremes is None:
        return seen
    return replace(seen, kind=samples.kind, low=extremes[0], high=extremes[1], declared=samples.declared)


def _scale(kind: str, seen: Sequence[Seen]) -> Scale:
    """Return the scale of one type of samples; see the rule above."""
    low, high = min(each.low for each in seen), max(each.high for each in seen)
    declared = [each.declared for each in seen if each.declared is not None]
    if len(declared) == len(seen):
        lowest, highest = min(each[0] for each in declared), max(each[1] for each in declared)
        if lowest <= low and high <= highest:
            return Scale(kind, lowest, highest)
    tops = (1.0, 255.0) if kind == "float" else [2.0**depth - 1 for depth in _DEPTHS]
    meant = next((top for top in tops if high <= top), None)
    if meant is not None and low >= 0 and _REACHED * meant <= high and high - low >= (1 - _REACHED) * meant:
        return Scale(kind, 0.0, meant)
    lowest = low if low < 0 or low > high / 2 else 0.0
    return Scale(kind, lowest, high if high > lowest else lowest + 1.0)


def _scale_note(scale: Scale, seen: Sequence[Seen]) -> str:
    stored = _STORED.get(scale.kind, scale.kind)
    meant = next((depth for depth in _DEPTHS if scale.high == 2**depth - 1 and scale.low == 0), None)
    used = f", {meant} bits used" if meant is not None and scale.kind != "float" else ""
    return (
        f"{stored} images ({_files(len(seen))}{used}): {scale.low:g}-{scale.high:g} is shown as 0-255, the same for "
        "all images of this data set and for models trained on it."
    )


def _clipping_note(scale: Scale, seen: Sequence[Seen]) -> list[str]:
    outside = sum(each.low < scale.low or each.high > scale.high for each in seen)
    if not outside:
        return []
    return [
        f"{_files(outside)} with values beyond {scale.low:g}-{scale.high:g}, which are clipped: the scale was set "
        "when the data set was created. For a new scale, import under another name."
    ]


def _files(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"
