"""The review lists of data sets, and databases that were made before there were any."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from sqlalchemy import create_engine, text

from workflows.store.database import migration_config
from workflows.store.store import Store


def test_images_wait_until_somebody_has_looked(store: Store) -> None:
    store.datasets.claim("set", "/photos")
    store.datasets.claim("other", "/others")
    assert store.reviews.add("set", ["a", "b", "b"], "odd") == 2
    store.reviews.add("other", ["a"])
    store.reviews.mark_done("set", ["a", "unknown"])
    assert [(review.image_id, review.note) for review in store.reviews.list("set")] == [("b", "odd")]
    everything = store.reviews.list("set", done=True)
    assert {review.image_id: review.done_at is not None for review in everything} == {"a": True, "b": False}
    store.reviews.add("set", ["a"], "again")  # it waits once more
    assert {review.image_id for review in store.reviews.list("set")} == {"a", "b"}
    store.reviews.remove("set", ["a", "b"])
    assert store.reviews.list("set", done=True) == [] and len(store.reviews.list("other")) == 1


def test_many_at_once(store: Store) -> None:
    store.datasets.claim("set", "/photos")
    names = [f"{number:016x}" for number in range(1200)]
    assert store.reviews.add("set", names) == store.reviews.add("set", names) == 1200
    store.reviews.mark_done("set", names)
    assert store.reviews.list("set") == []


def test_versions_of_an_older_database_get_a_history(home: Path) -> None:
    home.mkdir()
    engine = create_engine(f"sqlite:///{home / 'fieldguide.db'}")
    config = migration_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text("INSERT INTO datasets VALUES ('set', '/photos', '2026-01-01 00:00:00')"))
        for number, reason in ((1, "imported from /p"), (2, "added to from /p"), (3, "mirrored from /p")):
            connection.execute(
                text(
                    "INSERT INTO versions (dataset, number, classes, images, fingerprint, listing, source, reason, "
                    "given_split, created_at) VALUES ('set', :number, '[\"a\"]', 1, '', '', '/p', :reason, 0, "
                    "'2026-01-01 00:00:00')"
                ),
                {"number": number, "reason": reason},
            )
    engine.dispose()
    versions = Store(home).datasets.versions("set")
    assert [(v.action, v.parent, v.author) for v in versions] == [
        ("import", None, ""),
        ("add", 1, ""),
        ("mirror", 2, ""),
    ]
