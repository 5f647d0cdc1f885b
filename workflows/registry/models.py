"""The model registry: models by name, and which version of each is in use.

A model is a name with versions; a version refers to the finished run that trained it and has the test images of
that time, so that later versions can be compared on them. One version is the champion. Promoting and rolling back only
add a line to a log: nothing is lost, and the model's name refers to the new champion from then on.
"""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from workflows.backbones.registry import title_of
from workflows.data.publishing import resolve_author
from workflows.errors import ModelError, RunError, UsageError
from workflows.evaluation.thresholds import ReviewThreshold
from workflows.registry.thresholds import threshold_of
from workflows.store.files import read_json, read_table, storage_errors, write_json, write_table
from workflows.store.models import ModelVersion, PromotionAction
from workflows.store.names import slug
from workflows.store.run_folder import ModelFolder
from workflows.store.store import Store
from workflows.targets.calibration import Calibration
from workflows.targets.judged import HeldOut
from workflows.targets.registry import target_in


def register(
    store: Store, name: str, run: str, *, reason: str = "", author: str | None = None, promote_first: bool = True
) -> ModelVersion:
    """Register a finished run as the next version of a model, and freeze its test images.

    The first version of a model becomes its champion (there is nothing to compare it with).
    If the run already is a version of the model, that version is returned.

    Args:
        name: the model's name; a new name creates a new model.
        run: the run, by id, unambiguous id prefix or `latest`.
        reason: why, as text.
        author: who registers it; by default the user.

    Raises:
        UsageError: an invalid name.
        RunError: no such run, or it is not finished.
    """
    if slug(name) != name:
        raise UsageError(f"{name!r} is not a valid model name.", f"Use, for example, {slug(name, 'model')!r}.")
    record = store.runs.get(run)
    folder = store.run_folder(record.run_id).model
    if record.final is None or not folder.card.exists():
        raise RunError(
            f"Run {record.run_id} is {record.state}: only a finished run can be registered.",
            f"Resume it first: fieldguide runs resume {record.run_id}",
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
        card=read_json(folder.card),
        metrics=record.final.metrics,
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
    records = read_table(store.run_folder(version.run_id).records)
    test = records[records["split"] == "test"]
    chosen = test if len(test) else records[records["split"] == "val"]
    write_table(store.frozen_file(version.model, version.number), chosen.reset_index(drop=True))


def frozen_images(store: Store, version: ModelVersion) -> pd.DataFrame:
    """Return the images that a version was tested on when it was registered, with the columns of a run's records.

    They are those of the test split, or of the validation split where there was no test split.
    """
    path = store.frozen_file(version.model, version.number)
    if not path.exists():  # interrupted between the record and the file
        _freeze_test_images(store, version)
    return read_table(path)


def frozen_split(frozen: pd.DataFrame) -> HeldOut:
    """Return which images were frozen (:func:`frozen_images`): those of the test or of the validation split."""
    return "val" if (frozen["split"] == "val").any() else "test"


def get_model(store: Store, name: str, number: int | None = None) -> ModelVersion:
    """Return a version of a model; by default its champion (its newest, if it has no champion).

    Raises:
        ModelError: unknown name or number; the message lists similar names.
    """
    versions = store.models.versions(name)
    if not versions:
        known = store.models.names()
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        shown = "List all: `fieldguide models list`." if known else "Register one: fieldguide models register NAME RUN"
        raise ModelError(f"No model is called {name!r}.", f"{hint}{shown}")
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


def promote(store: Store, name: str, number: int, *, reason: str = "", author: str | None = None) -> ModelVersion:
    """Make a version of a model its champion, without a decision.

    Raises:
        ModelError: unknown, already the champion, or the champion was changed concurrently.
    """
    version = promotable(store, name, number)
    _record(store, version, "promote", reason or "promoted by hand", author)
    return version


def promotable(store: Store, name: str, number: int) -> ModelVersion:
    """Return a version that can become the champion. Raises ModelError if it is unknown, damaged, or the champion."""
    version = get_model(store, name, number)
    if store.models.champions().get(name) == number:
        raise ModelError(f"{version} is already the champion.", f"List all versions: `fieldguide models show {name}`.")
    _check_weights(store, version)
    return version


def champion_changed(name: str) -> ModelError:
    """Return the error of a promotion that came second."""
    return ModelError(
        f"The champion of {name!r} was changed at the same time by another process; nothing was done.",
        f"Check the present state: fieldguide models show {name}",
    )


def rollback(store: Store, name: str, *, reason: str = "", author: str | None = None) -> ModelVersion:
    """Make the previous champion the champion again. Raises ModelError if there was none."""
    get_model(store, name)
    earlier = _champion_before(store, name)
    if earlier is None:
        raise ModelError(
            f"Model {name!r} has had only one champion: there is no earlier one to roll back to.",
            f"List its versions with `fieldguide models show {name}`; choose one with `fieldguide models promote`.",
        )
    version = get_model(store, name, earlier)
    _check_weights(store, version)
    _record(store, version, "rollback", reason or "rolled back by hand", author)
    return version


def _champion_before(store: Store, name: str) -> int | None:
    """Return the champion before the present one was promoted; rollbacks undo promotions like a stack."""
    stack: list[int] = []
    for line in store.models.promotions(name):
        if line.action == "rollback" and len(stack) > 1:
            stack.pop()
        else:
            stack.append(line.number)
    return stack[-2] if len(stack) > 1 else None


def _record(store: Store, version: ModelVersion, action: PromotionAction, reason: str, author: str | None) -> None:
    name = version.model
    done = store.models.record_promotion(
        name,
        version.number,
        expected=store.models.champions().get(name),
        action=action,
        author=author or resolve_author(),
        reason=reason,
    )
    if not done:
        raise champion_changed(name)


def _check_weights(store: Store, version: ModelVersion) -> None:
    if not (weights_path(store, version)).is_file():
        raise ModelError(
            f"The weights of {version} are missing: {weights_path(store, version)}.", "Restore the run's folder."
        )


def weights_path(store: Store, version: ModelVersion) -> Path:
    """Return the file of a version's weights."""
    return store.run_folder(version.run_id).model.weights


def resolve_run(store: Store, name: str) -> str:
    """Return the id of the run that `name` means: a model's champion, `model:number`, else a run.

    Raises:
        ModelError: a model without such a version.
        RunError: neither a model nor a run.
    """
    model, _, number = name.partition(":")
    if model in store.models.names():
        if number and not number.isdecimal():
            raise ModelError(f"{name!r} is not a version of the model {model!r}.", f"For example: {model}:1")
        return get_model(store, model, int(number)).run_id if number else champion(store, model).run_id
    return store.runs.get(name).run_id


def runs_in_use(store: Store) -> dict[str, str]:
    """Return, for every run that a model needs, the models' versions as text; such a run can't be deleted."""
    champions = store.models.champions()
    used: dict[str, list[str]] = {}
    for version in store.models.versions():
        crown = ", the champion" if champions.get(version.model) == version.number else ""
        used.setdefault(version.run_id, []).append(f"{version}{crown}")
    return {run_id: "; ".join(names) for run_id, names in used.items()}


def export_model(store: Store, name: str, dest: Path, number: int | None = None) -> ModelVersion:
    """Copy a version's weights and card, with a README on how to use them, to a new or empty folder.

    Raises:
        ModelError: unknown.
        UsageError: `dest` is not empty.
        StorageError: the disk is full or can't be written.
    """
    version = get_model(store, name, number)
    _check_weights(store, version)
    dest = dest.expanduser().absolute()
    with storage_errors(dest):
        if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):
            raise UsageError(f"{dest} is not an empty folder.", "Choose a folder that is empty or does not exist yet.")
        dest.mkdir(parents=True, exist_ok=True)
        exported = ModelFolder(dest)
        shutil.copyfile(weights_path(store, version), exported.weights)
        threshold = threshold_of(store, version.run_id)
        (dest / "README.txt").write_text(_how_to_use(version, threshold), encoding="utf-8")
        more = {"model": version.model, "model_version": version.number, "review_threshold": threshold.value}
        write_json(exported.card, {**version.card, **more})
    return version


def _how_to_use(version: ModelVersion, threshold: ReviewThreshold) -> str:
    card = version.card
    return (
        f"{version}: {title_of(card['family'], card['size'])} with {len(card['classes'])} classes.\n\n"
        f"model.safetensors  the weights (SHA-256 {card['weights_sha256']})\n"
        f"model.json         classes in the order of the outputs, and the transform from an image to the input\n\n"
        f"Input: RGB, upright by EXIF, made square by {card['square']!r} at {card['image_size']} pixels, values / 255,\n"
        f"minus mean {card['mean']}, divided by std {card['std']}; float32 [n, 3, {card['image_size']}, "
        f"{card['image_size']}].\nOutput: logits [n, {len(card['classes'])}]; {_activation(card)} gives the confidences.\n"
        f"Predictions below {threshold.value:g} confidence are to be reviewed by a person"
        f"{' (the default)' if threshold.is_default else ''}.\n"
    )


def _activation(card: dict[str, Any]) -> str:
    calibration = Calibration.model_validate(card.get("calibration") or {})
    return target_in(card).activation_words(calibration.temperature)
