"""Grey pictures of textured parts under a fixed camera: faint, all of one layout, several exposures of each part."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tests.data.conftest import encoded

WIDTH, HEIGHT = 160, 120
MOST_EXPOSURES = 6


def texture(generator: np.random.Generator, grain: float) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1, [HEIGHT, WIDTH], whose spots are about `grain` pixels wide."""
    rows, columns = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None, :]
    smoothing = np.exp(-2 * (np.pi * grain) ** 2 * (rows**2 + columns**2))
    spots = np.fft.irfft2(np.fft.rfft2(generator.normal(size=(HEIGHT, WIDTH))) * smoothing, s=(HEIGHT, WIDTH))
    return np.asarray((spots - spots.mean()) / spots.std())


def layout() -> np.ndarray:
    """What all pictures of a fixed camera have in common, in grey values: light from one side, and a round edge."""
    rows, columns = np.mgrid[-0.5 : 0.5 : HEIGHT * 1j, -0.5 : 0.5 : WIDTH * 1j]
    edge = np.exp(-(((np.hypot(rows, columns) - 0.38) / 0.03) ** 2))
    return np.asarray(120 + 25 * columns - 15 * rows - 18 * edge)


def exposed(part: np.ndarray, generator: np.random.Generator, noise: float = 2.0) -> bytes:
    """A picture of a part (grey values): another gain, offset, gamma, shading and noise each time."""
    rows, columns = np.mgrid[-0.5 : 0.5 : HEIGHT * 1j, -0.5 : 0.5 : WIDTH * 1j]
    light = (part / 255).clip(0.01, 1) ** generator.uniform(0.67, 1.5) * generator.uniform(0.6, 1.4)
    shading = 1 - generator.uniform(0, 0.3) * (rows**2 + columns**2)
    values = 255 * (light + generator.uniform(-0.06, 0.06)) * shading + generator.normal(0, noise, part.shape)
    return encoded(Image.fromarray(values.clip(0, 255).astype(np.uint8)))


def exposures(
    parts: int,
    seed: int = 0,
    *,
    most: int = MOST_EXPOSURES,
    grain: float = 2.0,
    strength: float = 6.0,
    fixed_camera: bool = True,
) -> dict[str, bytes]:
    """Pictures of so many parts, 1 to `most` of each, by name: `part-exposure`.

    Args:
        parts: how many.
        seed: of everything random.
        most: exposures of a part, at most; with 1, no two pictures show the same part.
        grain: width of the texture's spots, in pixels.
        strength: standard deviation of the texture, in grey values.
        fixed_camera: whether all have one layout, or nothing but texture.
    """
    generator = np.random.default_rng(seed)
    common = layout() if fixed_camera else np.full((HEIGHT, WIDTH), 120.0)
    pictures = {}
    for number in range(parts):
        part = common + strength * texture(generator, grain)
        for exposure in range(1 + number % most):
            pictures[f"{number:04}-{exposure}"] = exposed(part, generator)
    return pictures


def part_of(name: str) -> str:
    """The part that a picture shows."""
    return name.rpartition("/")[2][:4]
