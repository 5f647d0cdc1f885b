"""The model registry: names that people rely on, and which version of each is in use.

A model is a name with versions; a version points at the finished run that trained it and keeps the test images of
that day, so that later versions can be judged on them. One version is the champion. Promoting and rolling back only
add a line to a log: nothing is lost, and whoever asks for the model's name gets the new champion from then on.
"""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pandas as pd

from workflows.data.publishing import resolve_author
from workflows.errors import ModelError, RunError, UsageError
from workflows.store.files import read_json, read_table, storage_errors, write_json, write_table
from workflows.store.models import ModelVersion, PromotionAction
from workflows.store.names import slug
from workflows.store.store import Store

TEST_IMAGES_FILE = "test_images.parquet"
TEST_COLUMNS = ["image_id", "path", "sha256", "split", "label"]
WEIGHTS_FILE, CARD_FILE = "model.safetensors", "model.json"


def register(
    store: Store, name: str, run: str, *, reason: str = "", author: str | None = None, promote_first: bool = True
) -> ModelVersion:
    """Make a finished run the next version of a model, and freeze its test images.

    The first version of a model becomes its champion (there is nothing to compare it with).
    A run that is a version of the model already is returned as it is.

    Args:
        name: the model's name; a new one makes a new model.
        run: the run, by id, unambiguous beginning or `latest`.
        reason: why, in words.
        author: who; by default whoever runs this.

    Raises:
        UsageError: an impossible name.
        RunError: no such run, or it is not finished.
    """
    if slug(name) != name:
        raise UsageError(f"A model can't be called {name!r}.", f"Use for example {slug(name, 'model')!r}.")
    record = store.runs.get(run)
    folder = store.run_folder(record.run_id)
    if record.state != "finished" or not record.result or not (folder / "model" / CARD_FILE).exists():
        raise RunError(
            f"Run {record.run_id} is {record.state}: only a finished run can become a model's version.",
            f"Go on with it first: fieldguide runs resume {record.run_id}",
        )
    for version in store.models.versions(name):
        if version.run_id == record.run_id:
            return version
    author = author or resolve_author()
    made = store.models.add(
        name,
        run_id=record.run_id,
        dataset=record.dataset or "",
        version=record.version or 0,
        card=read_json(folder / "model" / CARD_FILE),
        metrics=record.result.get("metrics") or {},
        author=author,
        reason=reason or "registered",
    )
    _freeze_test_images(store, made)
    if promote_first and made.number == 1:
        store.models.record_promotion(
            name, 1, expected=None, action="register", author=author, reason="the first version"
        )
    return made


def _freeze_test_images(store: Store, version: ModelVersion) -> None:
    records = pd.read_parquet(store.run_folder(version.run_id) / "records.parquet")[TEST_COLUMNS]
    test = records[records["split"] == "test"]
    chosen = test if len(test) else records[records["split"] == "val"]
    write_table(store.model_folder(version.model, version.number) / TEST_IMAGES_FILE, chosen.reset_index(drop=True))


def frozen_images(store: Store, version: ModelVersion) -> pd.DataFrame:
    """Return the images that a version was tested on when it was registered (columns :data:`TEST_COLUMNS`).

    They are those of the test split, or of the validation split where there was no test split.
    """
    path = store.model_folder(version.model, version.number) / TEST_IMAGES_FILE
    if not path.exists():  # cut off between the record and the file
        _freeze_test_images(store, version)
    return read_table(path)


def get_model(store: Store, name: str, number: int | None = None) -> ModelVersion:
    """Return a version of a model; by default its champion (its newest, if it has no champion).

    Raises:
        ModelError: unknown name or number; the message names near matches.
    """
    versions = store.models.versions(name)
    if not versions:
        known = store.models.names()
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        shown = "`fieldguide models list` shows all." if known else "Make one: fieldguide models register NAME RUN"
        raise ModelError(f"There is no model {name!r}.", f"{hint}{shown}")
    wanted = number or store.models.champions().get(name) or versions[-1].number
    for version in versions:
        if version.number == wanted:
            return version
    raise ModelError(f"Model {name!r} has no version {number}.", f"It has versions 1 to {versions[-1].number}.")


def champion(store: Store, name: str) -> ModelVersion:
    """Return the version of a model that is in use. Raises ModelError if there is none."""
    if store.models.versions(name) and name not in store.models.champions():
        raise ModelError(f"Model {name!r} has no champion.", f"Choose one: fieldguide models promote {name} VERSION")
    return get_model(store, name)


def promote(
    store: Store, name: str, number: int, *, reason: str = "", author: str | None = None, decision_id: str | None = None
) -> ModelVersion:
    """Make a version of a model its champion.

    Raises:
        ModelError: unknown, the champion already, or somebody else changed the champion at the same moment.
    """
    version = get_model(store, name, number)
    if store.models.champions().get(name) == number:
        raise ModelError(f"{version} is the champion already.", f"`fieldguide models show {name}` shows all versions.")
    _check_weights(store, version)
    _record(store, version, "promote", reason or "promoted by hand", author, decision_id)
    return version


def rollback(store: Store, name: str, *, reason: str = "", author: str | None = None) -> ModelVersion:
    """Make the champion before the present one the champion again. Raises ModelError if there was none."""
    get_model(store, name)
    earlier = _champion_before(store, name)
    if earlier is None:
        raise ModelError(
            f"Model {name!r} has had one champion only: there is nothing to go back to.",
            f"`fieldguide models show {name}` shows its versions; `fieldguide models promote` chooses any.",
        )
    version = get_model(store, name, earlier)
    _check_weights(store, version)
    _record(store, version, "rollback", reason or "rolled back by hand", author, None)
    return version


def _champion_before(store: Store, name: str) -> int | None:
    """Return who was champion before the present one was promoted; rollbacks undo promotions like a stack."""
    stack: list[int] = []
    for line in store.models.promotions(name):
        if line.action == "rollback" and len(stack) > 1:
            stack.pop()
        else:
            stack.append(line.number)
    return stack[-2] if len(stack) > 1 else None


def _record(
    store: Store,
    version: ModelVersion,
    action: PromotionAction,
    reason: str,
    author: str | None,
    decision_id: str | None,
) -> None:
    name = version.model
    done = store.models.record_promotion(
        name,
        version.number,
        expected=store.models.champions().get(name),
        action=action,
        author=author or resolve_author(),
        reason=reason,
        decision_id=decision_id,
    )
    if not done:
        raise ModelError(
            f"The champion of {name!r} was changed by somebody else at the same moment; nothing was done.",
            f"Look again: fieldguide models show {name}",
        )


def _check_weights(store: Store, version: ModelVersion) -> None:
    if not (weights_path(store, version)).is_file():
        raise ModelError(
            f"The weights of {version} are missing: {weights_path(store, version)}.", "Restore the run's folder."
        )


def weights_path(store: Store, version: ModelVersion) -> Path:
    """Return the file of a version's weights."""
    return store.run_folder(version.run_id) / "model" / WEIGHTS_FILE


def resolve_run(store: Store, name: str) -> str:
    """Return the id of the run that `name` means: a model's champion, `model:number`, else a run.

    Raises:
        ModelError: a model without such a version.
        RunError: neither a model nor a run.
    """
    model, _, number = name.partition(":")
    if model in store.models.names():
        if number and not number.isdecimal():
            raise ModelError(f"{name!r} names no version of the model {model!r}.", f"Write e.g. {model}:1")
        return get_model(store, model, int(number)).run_id if number else champion(store, model).run_id
    return store.runs.get(name).run_id


def runs_in_use(store: Store) -> dict[str, str]:
    """Return, for every run that a model needs, which (in words); such a run may not be deleted."""
    champions = store.models.champions()
    used: dict[str, list[str]] = {}
    for version in store.models.versions():
        crown = ", the champion" if champions.get(version.model) == version.number else ""
        used.setdefault(version.run_id, []).append(f"{version}{crown}")
    return {run_id: "; ".join(names) for run_id, names in used.items()}


def export_model(store: Store, name: str, dest: Path, number: int | None = None) -> ModelVersion:
    """Copy a version's weights and card, with a README that says how to use them, to a new or empty folder.

    Raises:
        ModelError: unknown.
        UsageError: `dest` holds something already.
        StorageError: the disk is full or can't be written.
    """
    version = get_model(store, name, number)
    _check_weights(store, version)
    dest = dest.expanduser().absolute()
    with storage_errors(dest):
        if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
            raise UsageError(f"{dest} is not an empty folder.", "Give a folder that is empty or not there yet.")
        dest.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights_path(store, version), dest / WEIGHTS_FILE)
        (dest / "README.txt").write_text(_how_to_use(version), encoding="utf-8")
        write_json(dest / CARD_FILE, {**version.card, "model": version.model, "model_version": version.number})
    return version


def _how_to_use(version: ModelVersion) -> str:
    card = version.card
    return (
        f"{version}: YOLOv8{card['size']}-cls with {len(card['classes'])} classes.\n\n"
        f"model.safetensors  the weights (SHA-256 {card['weights_sha256']})\n"
        f"model.json         classes in the order of the outputs, and the way from a photo to the input\n\n"
        f"Input: RGB, upright by EXIF, made square by {card['square']!r} at {card['image_size']} pixels, values / 255,\n"
        f"minus mean {card['mean']}, divided by std {card['std']}; float32 [n, 3, {card['image_size']}, "
        f"{card['image_size']}].\nOutput: logits [n, {len(card['classes'])}]; softmax gives the confidences.\n"
    )
