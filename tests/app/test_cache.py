"""What was used last is kept, and made once."""

from __future__ import annotations

from app.client.cache import Cache


def test_the_least_recently_used_goes_first() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name

    cache = Cache(2)
    for name in ("a", "b", "a", "c", "a", "b"):
        assert cache.get(name, lambda name=name: make(name)) == name  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]
    assert (cache.find("a"), cache.find("c")) == ("a", None)
