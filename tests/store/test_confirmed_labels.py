"""Confirmed labels of data sets."""

from __future__ import annotations

from workflows.store.store import Store


def test_a_confirmation_is_of_one_label_of_one_image(store: Store) -> None:
    for name in ("set", "other"):
        store.datasets.claim(name, "/photos")
    store.confirmed_labels.add("set", {"a": "ash", "b": "oak"}, "ada")
    store.confirmed_labels.add("other", {"a": "yew"})
    store.confirmed_labels.add("set", {"a": "elm"})
    assert store.confirmed_labels.of("set") == {"a": "elm", "b": "oak"}
    store.confirmed_labels.remove("set", ["a", "unknown"])
    assert store.confirmed_labels.of("set") == {"b": "oak"}
    assert store.confirmed_labels.of("other") == {"a": "yew"}


def test_many_at_once(store: Store) -> None:
    store.datasets.claim("set", "/photos")
    labels = {f"{number:016x}": "ash" for number in range(1200)}
    for _ in range(2):
        store.confirmed_labels.add("set", labels)
    assert store.confirmed_labels.of("set") == labels
    store.confirmed_labels.remove("set", labels)
    assert store.confirmed_labels.of("set") == {}


def test_they_go_with_their_data_set(store: Store) -> None:
    store.datasets.claim("set", "/photos")
    store.confirmed_labels.add("set", {"a": "ash"})
    store.datasets.delete("set")
    assert store.confirmed_labels.of("set") == {}
