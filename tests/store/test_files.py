"""Files are whole or not there, whatever happens."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.errors import StorageError
from workflows.store.files import (
    FORMULA_STARTS,
    atomic_path,
    defuse,
    free_bytes,
    read_json,
    read_table,
    remove_temporaries,
    sha256_of,
    to_plain,
    undo_defuse,
    write_atomic,
    write_json,
    write_table,
)


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.bin"
    write_atomic(target, b"one")
    write_atomic(target, b"two")
    assert target.read_bytes() == b"two"
    assert list(target.parent.iterdir()) == [target]


def test_failing_body_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    write_atomic(target, b"old")
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_bytes(b"half")
        raise RuntimeError("killed")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_kill_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    write_atomic(target, b"old")
    program = """
        import os, signal, sys
        from pathlib import Path
        from workflows.store.files import atomic_path
        with atomic_path(Path(sys.argv[1])) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(target)], check=False)
    assert done.returncode == -9
    assert target.read_bytes() == b"old"
    others = [tmp_path / name for name in (".note.tmp", "file.0123abcd.tmp", ".file.bin", ".file.0123abcg.tmp.bin")]
    for path in others:
        path.touch()
    assert len(list(tmp_path.iterdir())) == 2 + len(others)
    remove_temporaries(tmp_path.parent)
    assert sorted(tmp_path.iterdir()) == sorted([target, *others])


@pytest.mark.parametrize("name", ["a", ".hidden", "two.dots.json", "line\nbreak.json", "x" * 200 + ".json", "花.pt"])
def test_every_temporary_name_is_known_again(name: str, tmp_path: Path) -> None:
    with atomic_path(tmp_path / name) as temporary:
        temporary.touch()
        remove_temporaries(tmp_path, ["b", "two.json", "json", ""])
        assert temporary.exists()
        remove_temporaries(tmp_path, ["b", name])
        assert not temporary.exists()
        temporary.touch()
        remove_temporaries(tmp_path)
        assert not temporary.exists()
        temporary.touch()


def test_full_disk_is_said_in_words_and_keeps_the_old_file(small_disk: Path) -> None:
    target = small_disk / "file.bin"
    write_atomic(target, b"old" * 1000)
    with pytest.raises(StorageError, match=r"file\.bin: .*disk is full") as caught:
        write_atomic(target, bytes(2 * 1024**2))
    assert "space" in caught.value.hint
    assert target.read_bytes() == b"old" * 1000
    assert list(small_disk.iterdir()) == [target]


def test_full_disk_while_writing_a_table(small_disk: Path) -> None:
    target = small_disk / "table.parquet"
    write_table(target, pd.DataFrame({"a": [1]}))
    noise = np.random.default_rng(0).random(400_000)
    for name in ("table.parquet", "other.csv"):
        with pytest.raises(StorageError, match="disk is full"):
            write_table(small_disk / name, pd.DataFrame({"a": noise}))
    assert read_table(target)["a"].tolist() == [1]
    assert list(small_disk.iterdir()) == [target]


def test_file_size_limit_is_said_in_words(tmp_path: Path) -> None:
    """The limit `ulimit -f` stands in for a full disk where no small disk can be mounted."""
    target = tmp_path / "file.bin"
    write_atomic(target, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageError, match=r"file\.bin: .*larger"):
            write_atomic(target, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"below\.txt.*file.*folder"):
        write_atomic(tmp_path / "file" / "below.txt", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_forbidden_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="permission denied"):
        write_atomic(tmp_path / "file", b"")


def test_json_takes_what_numbers_people_have(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    document = {
        "path": Path("a/b"),
        "scalar": np.float32(0.5),
        "array": np.arange(3),
        "nan": float("nan"),
        "infinite": np.float64("inf"),
        "time": datetime(2026, 1, 2, tzinfo=UTC),
        "set": {"b", "a"},
        "tuple": (1, None, True),
        3: "ü",
    }
    write_json(path, document)
    assert read_json(path) == {
        "path": "a/b",
        "scalar": 0.5,
        "array": [0, 1, 2],
        "nan": None,
        "infinite": None,
        "time": "2026-01-02T00:00:00+00:00",
        "set": ["a", "b"],
        "tuple": [1, None, True],
        "3": "ü",
    }


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_plain_values_are_always_valid_json(value: object) -> None:
    json.dumps(to_plain(value), allow_nan=False)


def test_missing_and_damaged_files_are_said_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"a": ')
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    for read, name, words in (
        (read_json, "none.json", "is missing"),
        (read_json, "broken.json", "can't be read"),
        (read_table, "none.parquet", "is missing"),
        (read_table, "broken.parquet", "can't be read"),
    ):
        with pytest.raises(StorageError, match=words):
            read(tmp_path / name)


def test_parquet_keeps_metadata_and_is_deterministic(tmp_path: Path) -> None:
    frame = pd.DataFrame({"label": ["a", "b"], "confidence": np.float32([0.5, 1.0])})
    write_table(tmp_path / "1.parquet", frame, {"classes": '["a", "b"]'})
    write_table(tmp_path / "2.parquet", frame, {"classes": '["a", "b"]'})
    assert pyarrow.parquet.read_schema(tmp_path / "1.parquet").metadata[b"classes"] == b'["a", "b"]'
    assert sha256_of(tmp_path / "1.parquet") == sha256_of(tmp_path / "2.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "1.parquet"), frame)


def test_unknown_table_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="xlsx"):
        write_table(tmp_path / "a.xlsx", pd.DataFrame())


@given(text=st.text(min_size=1), start=st.sampled_from(FORMULA_STARTS))
def test_no_cell_of_a_csv_is_a_formula(tmp_path_factory: pytest.TempPathFactory, text: str, start: str) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    text = text.encode("utf-8", "replace").decode()
    frame = pd.DataFrame({"=name": [start + text, text], "number": [-1.5, 2.0]})
    write_table(path, frame)
    back = pd.read_csv(path, dtype=str, keep_default_na=False, lineterminator="\n" if "\r" in text + start else None)
    assert back.columns[0] == "'=name"
    assert not any(cell.startswith(FORMULA_STARTS) for cell in back.iloc[:, 0])
    assert back["number"].tolist() == ["-1.5", "2.0"]  # numbers stay numbers


@given(st.text())
def test_defusing_can_be_undone(text: str) -> None:
    assert undo_defuse(defuse(text)) == text


def test_csv_defuses_categories_too(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", pd.DataFrame({"label": pd.Categorical(["=1", "b", None])}))
    assert (tmp_path / "a.csv").read_text() == 'label\n\'=1\nb\n""\n'


def test_free_space_of_a_folder_to_come(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)
