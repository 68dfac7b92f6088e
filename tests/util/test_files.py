"""Files are whole or absent, whatever breaks off their writing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from xstat_ray.errors import InputError
from xstat_ray.util.files import write_folder, write_whole


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    for content in (b"first", b""):
        write_whole(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_file_has_its_permissions_whatever_the_default_is(tmp_path: Path, mode: int) -> None:
    write_whole(tmp_path / "a", b"secret", mode=mode)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
@pytest.mark.parametrize("before", [None, b"before"])
def test_a_failure_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, before: bytes | None
) -> None:
    if before is not None:
        (tmp_path / "a").write_bytes(before)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if failing == "replace":
        monkeypatch.setattr(Path, "replace", full)
    elif failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    content = NOT_BYTES if failing == "write" else b"new"
    with pytest.raises((OSError, TypeError)):
        write_whole(tmp_path / "a", content)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({} if before is None else {"a": before})


NOT_BYTES = "a text"
"""Content that breaks off the writing itself."""


def test_a_folder_is_made_and_its_files_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = write_folder(folder, {"b": b"2", "a": b"1"})
    assert paths == [folder / "b", folder / "a"]
    assert [path.read_bytes() for path in paths] == [b"2", b"1"]


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(InputError, match="cannot write the output: File exists") as caught:
        write_folder(tmp_path / "out", {"a": b"1"})
    assert caught.value.file == str(tmp_path / "out")
    assert "without spending budget again" in str(caught.value.remedy)
