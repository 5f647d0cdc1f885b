"""Every stored file is read again: what is damaged, missing or needed by nobody is named."""

from __future__ import annotations

from pathlib import Path

from tests.data.conftest import MakeImages, encoded, picture
from workflows.data.importing import add_dataset
from workflows.data.integrity import verify_store
from workflows.store.store import Store


def damage(path: Path) -> None:
    """Flip one bit, as an old disk does."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


def test_all_is_well(store: Store, make_images: MakeImages) -> None:
    add_dataset(store, "set", make_images(a=8, b=8))
    calls: list[tuple[str, int, int]] = []
    found = verify_store(store, lambda stage, done, total, text="": calls.append((stage, done, total)))
    assert found.sound and (found.files, found.bad, found.unreferenced) == (16, (), ())
    assert calls == [("verify", 16, 16)]
    assert found.bytes == sum(path.stat().st_size for path in (store.home / "blobs").glob("??/*"))


def test_damaged_and_missing_files_are_named_with_who_needs_them(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    table = add_dataset(store, "set", source).version.table().set_index("path")
    add_dataset(store, "other", source)
    damage(store.blobs.path(table.at["a/0.png", "sha256"]))
    store.blobs.path(table.at["b/0.png", "sha256"]).unlink()
    stray = store.blobs.put(encoded(picture("stray")))
    found = verify_store(store)
    assert not found.sound and found.unreferenced == (stray,) and found.unreferenced_bytes > 0
    assert {(bad.state, *place) for bad in found.bad for place in bad.needed_by} == {
        ("damaged", "other", str(source), "a/0.png"),
        ("damaged", "set", str(source), "a/0.png"),
        ("missing", "other", str(source), "b/0.png"),
        ("missing", "set", str(source), "b/0.png"),
    }


def test_what_still_lies_at_its_source_is_restored(store: Store, make_images: MakeImages) -> None:
    source = make_images(a=8, b=8)
    version = add_dataset(store, "set", source).version
    table = version.table().set_index("path")
    for path in ("a/0.png", "a/1.png"):
        damage(store.blobs.path(table.at[path, "sha256"]))
    store.blobs.path(table.at["b/0.png", "sha256"]).unlink()
    (source / "a/1.png").rename(source.parent / "elsewhere.png")
    found = verify_store(store, repair=True)
    assert sorted((bad.state, bad.restored) for bad in found.bad) == [
        ("damaged", False),
        ("damaged", True),
        ("missing", True),
    ]
    (bad,) = verify_store(store).bad  # the damaged one is set aside
    assert (bad.state, bad.needed_by[0].path) == ("missing", "a/1.png")
    (source.parent / "elsewhere.png").rename(source / "a/1.png")
    assert add_dataset(store, "set", source, afresh=True).version == version
    assert verify_store(store).sound


def test_a_table_that_cannot_be_read_is_named(store: Store, make_images: MakeImages) -> None:
    version = add_dataset(store, "set", make_images(a=8, b=8)).version
    (version.folder / "images.parquet").write_bytes(b"damaged")
    found = verify_store(store)
    assert not found.sound and found.unreferenced == ()  # nobody knows what it needs
    ((name, number, why),) = found.unreadable
    assert (name, number) == ("set", 1) and "images.parquet" in why


def test_an_empty_store_is_sound(store: Store) -> None:
    assert verify_store(store).sound
