"""Cards of known data sets: what each one is, where it comes from, its terms, and how its labels are read.

A card is a YAML file in `datasets/`. Fetching the data set of a card is the only way in which Fieldguide downloads
images, and it happens only on a user's request.
"""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from workflows import settings
from workflows.errors import StorageError, UsageError
from workflows.store.files import read_json, write_json
from workflows.store.store import Store

"""A folder of additional cards: data sets that an organisation shares over HTTP."""

KEPT_FILE = "card.json"
_SOURCE_TREE = Path(__file__).parents[2]
_INSTALLED = Path(sys.prefix) / "share" / "fieldguide" / "datasets"
"""Where a wheel installs the cards (see pyproject.toml)."""

CardLayout = Literal["class-folders", "split-folders", "file-names", "cifar-binary", "generated"]


class Checksum(BaseModel):
    """The expected hash of a download; null where it is unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")


class Card(BaseModel):
    """One known data set.

    Attributes:
        about: what is in it, in a sentence or two.
        publisher: who hosts `url`.
        url: one archive, over http or https; null if the images come with the installation.
        bytes: the archive's exact size.
        checksum: of the archive or, without one, of what the card's comment describes.
        origin: whom to cite.
        licence: SPDX identifier, or `not stated`.
        terms: the publisher's terms of use, as text.
        layout: how labels are read: from folders, from `label_pattern`, or by a dedicated converter.
        label_pattern: regular expression with the groups `label` and, optionally, `split`, searched in a path.
        class_names: from labels in the archive to class names.
        images: number of images.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)
    title: str = Field(min_length=3, max_length=80)
    about: str = Field(min_length=20)
    publisher: str = Field(min_length=3)
    url: str | None = Field(pattern=r"^https?://[^\s/]+/\S+$")
    bytes: int | None = Field(gt=0)
    checksum: Checksum
    origin: str = Field(min_length=3)
    licence: str = Field(min_length=2)
    terms: str = Field(min_length=10)
    layout: CardLayout
    label_pattern: str | None = None
    class_names: dict[str, str] = {}
    images: int = Field(gt=0)
    classes: list[str] = Field(min_length=2)

    @field_validator("label_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        try:
            groups = set(re.compile(pattern).groupindex) if pattern is not None else {"label"}
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        if "label" not in groups or not groups <= {"label", "split"}:
            raise ValueError("must have the group `label`, may have `split`, and no others")
        return pattern

    @model_validator(mode="after")
    def _fits_together(self) -> Card:
        if (self.layout == "file-names") != (self.label_pattern is not None):
            raise ValueError("`label_pattern` is required for the layout file-names, and allowed only there")
        if (self.layout == "generated") != (self.url is None):
            raise ValueError("`url` must be null for the layout generated, and only there")
        if (self.url is None) != (self.bytes is None):
            raise ValueError("`url` and `bytes` must be given together")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("`classes` has a duplicate")
        if not set(self.class_names.values()) <= set(self.classes):
            raise ValueError("`class_names` maps to a class that is not in `classes`")
        return self


def cards_folder() -> Path:
    """Return the folder of the cards that are part of this installation.

    Raises:
        StorageError: it is missing.
    """
    # next to an installed package, `datasets` would belong to another project
    folder = _SOURCE_TREE / "datasets" if (_SOURCE_TREE / "pyproject.toml").is_file() else _INSTALLED
    if folder.is_dir():
        return folder
    raise StorageError("The cards of known data sets are missing from this installation.", "Reinstall Fieldguide.")


def known_cards() -> list[Card]:
    """Return all cards by name: the built-in ones, and those in the folder set by `$FIELDGUIDE_CARDS`.

    Raises:
        StorageError: a card can't be read, or two have the same name.
    """
    cards = [read_card(path) for folder in _all_folders() for path in folder.glob("*.yaml")]
    for one, other in pairwise(sorted(cards, key=lambda card: card.name)):
        if one.name == other.name:
            raise StorageError(
                f"Two cards are called {one.name!r}.",
                f"Rename the one in the folder set by {settings.CARDS.variable}.",
            )
    return sorted(cards, key=lambda card: card.name)


def _all_folders() -> list[Path]:
    own = settings.CARDS.read()
    if own and not Path(own).expanduser().is_dir():
        raise StorageError(f"{settings.CARDS.variable} is set to {own}, which is not a folder.", "Correct or unset it.")
    return [cards_folder(), *([Path(own).expanduser()] if own else [])]


def read_card(path: Path) -> Card:
    """Read one card.

    Raises:
        StorageError: the file is missing, not YAML, or not a valid card.
    """
    try:
        return Card.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise StorageError(f"The card {path} can't be read: {error}") from error


def card_of(name: str) -> Card:
    """Return the card of a known data set.

    Raises:
        UsageError: no card has this name.
    """
    cards = {card.name: card for card in known_cards()}
    if name not in cards:
        raise UsageError(f"No card is called {name!r}.", f"Available: {', '.join(cards)}.")
    return cards[name]


def save_card(store: Store, dataset: str, card: Card, sha256: str) -> None:
    """Save the card with the data set that was made from it, with the checksum of the actual download."""
    document = card.model_dump(mode="json") | {"checksum": {"sha256": sha256}}
    write_json(store.dataset_folder(dataset) / KEPT_FILE, document)


def saved_card(store: Store, dataset: str) -> Card | None:
    """Return the card that a data set was fetched with, including its licence; None if it was not fetched.

    Raises:
        StorageError: the file is damaged.
    """
    path = store.dataset_folder(dataset) / KEPT_FILE
    if not path.exists():
        return None
    try:
        return Card.model_validate(read_json(path))
    except ValidationError as error:
        raise StorageError(f"{path} can't be read: {error}.", "The file is damaged.") from error
