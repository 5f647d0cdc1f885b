"""From a card to a data set: download, verify, convert or extract labels where needed, import like any archive.

It can be stopped at any moment and called again: the download resumes, a converted archive and the
import appear completely or not at all, and what exists already is not fetched again.
"""

from __future__ import annotations

import csv
import io
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from workflows.data.cards import Card, save_card, saved_card
from workflows.data.cifar import convert_cifar
from workflows.data.importing import add_dataset
from workflows.data.naming import check_name
from workflows.data.reports import ImportReport
from workflows.data.version import DatasetVersion, version_of
from workflows.errors import SourceError, UsageError
from workflows.progress import Progress, silent
from workflows.store.download import Patience, Remote, download
from workflows.store.files import storage_errors, write_atomic
from workflows.store.names import slug
from workflows.store.store import Store


@dataclass(frozen=True)
class Fetched:
    """The outcome of fetching.

    Attributes:
        card: as stored with the data set, with the checksum of the download.
        report: of the import; None if the data set existed already.
    """

    card: Card
    version: DatasetVersion
    report: ImportReport | None


def fetch(
    store: Store,
    card: Card,
    *,
    name: str | None = None,
    trust: bool = False,
    patience: Patience | None = None,
    progress: Progress = silent,
) -> Fetched:
    """Download what a card describes and import it.

    The archive stays in the store's cache (`cache/downloads/`), which can be emptied at any time.

    Args:
        name: of the data set; the card's name by default.
        trust: accept an archive for which the card has no checksum.
        progress: receives megabytes as stage `download`, then the stages of the import.

    Returns:
        The data set. It is not fetched again if it exists already and was made from the same archive.

    Raises:
        UsageError: the card has nothing to download, its checksum is unknown and `trust` is not given, or another
            data set has this name.
        DownloadError: see :func:`~workflows.store.download.download`.
        SourceError, DatasetError, StorageError: see :func:`~workflows.data.importing.add_dataset`.
    """
    name = name or card.name
    check_name(name)
    remote = _remote(card, trust)
    archive = store.cache_folder / "downloads" / card.name / _file_name(remote.url)
    here = _already_here(store, name, card, archive)
    if here is not None:
        return here
    sha256 = download(remote, archive, patience=patience, progress=progress)
    source = _prepared(card, archive, sha256, progress)
    report = add_dataset(store, name, source, labels=_labels(card, archive), progress=progress)
    save_card(store, name, card, sha256)
    return Fetched(_saved(store, name, card), report.version, report)


def _remote(card: Card, trust: bool) -> Remote:
    if card.url is None:
        raise UsageError(
            f"The photos of {card.name!r} come with the installation; there is nothing to fetch.",
            "Try them: fieldguide demo",
        )
    if card.checksum.sha256 is None and not trust:
        raise UsageError(
            f"The card {card.name!r} has no checksum, so the download can't be verified.",
            f"If you trust {urlsplit(card.url).hostname} and the connection, add --trust; the checksum is then recorded.",
        )
    return Remote(card.url, card.bytes, card.checksum.sha256)


def _file_name(url: str) -> str:
    """Return a name for the file of `url` that is safe everywhere, with its suffixes."""
    stem, dot, suffixes = unquote(urlsplit(url).path).rpartition("/")[2].partition(".")
    return slug(stem) + dot + ".".join(slug(suffix) for suffix in suffixes.split(".")) if dot else slug(stem)


def _already_here(store: Store, name: str, card: Card, archive: Path) -> Fetched | None:
    versions = store.datasets.versions(name)
    if not versions:
        return None
    saved = saved_card(store, name)
    ours = saved is not None and saved.name == card.name
    if not ours and not versions[0].source.startswith(str(archive.parent)):  # else stopped before the card was saved
        raise UsageError(
            f"A data set {name!r} exists already, and was not fetched with this card.",
            f"Choose another name: fieldguide dataset fetch {card.name} --as NAME",
        )
    if saved is None or card.checksum.sha256 not in (None, saved.checksum.sha256):
        return None
    return Fetched(saved, version_of(store, versions[-1]), None)


def _saved(store: Store, name: str, card: Card) -> Card:
    return saved_card(store, name) or card


def _prepared(card: Card, archive: Path, sha256: str, progress: Progress) -> Path:
    """Return an archive that the import can read."""
    if card.layout != "cifar-binary":
        return archive
    pictures = archive.with_name(f"{card.name}-{sha256[:16]}.zip")
    if not pictures.exists():
        convert_cifar(archive, pictures, card.classes, progress)
    return pictures


def _labels(card: Card, archive: Path) -> Path | None:
    """Write the label file of an archive whose file names hold the labels; return its path, or None if not needed."""
    if card.label_pattern is None:
        return None
    pattern = re.compile(card.label_pattern)
    rows = []
    for path in _names_in(archive):
        found = pattern.search(path)
        if found:
            label = card.class_names.get(found["label"], found["label"])
            rows.append([path, label, *([found["split"]] if "split" in pattern.groupindex else [])])
    if not rows:
        raise SourceError(
            f"No file name in {archive.name} matches its card's pattern.", "The publisher may have changed the archive."
        )
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["filename", "label", "split"][: len(rows[0])])
    writer.writerows(sorted(rows))
    target = archive.with_name(f"{archive.name}.labels.csv")
    write_atomic(target, text.getvalue().encode())
    return target


def _names_in(archive: Path) -> list[str]:
    """Return the names of an archive's files; the import checks them before it unpacks any."""
    with storage_errors(archive, "read"):
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as entries:
                    return [entry.filename for entry in entries.infolist() if not entry.is_dir()]
            with tarfile.open(archive, "r|*") as members:
                return [member.name.removeprefix("./") for member in members if member.isreg()]
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
            raise SourceError(f"{archive.name} can't be read as an archive ({error}).") from error
