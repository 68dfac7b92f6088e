"""Files are whole or absent, whatever breaks off their writing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xstat_ray.errors import InputError
from xstat_ray.util.files import (
    drop_partials,
    refused_by_system,
    unwritable,
    whole_file,
    write_folder,
    write_whole,
)


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    for content in (b"first", b""):
        write_whole(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Within, this process takes these permissions away from files that it makes."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_file_has_the_permissions_it_is_given(tmp_path: Path, mode: int) -> None:
    with umask(0o022):
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
        monkeypatch.setattr(os, "replace", full)
    elif failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    content = NOT_BYTES if failing == "write" else b"new"
    with pytest.raises((OSError, TypeError)):
        write_whole(tmp_path / "a", content)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({} if before is None else {"a": before})


def test_no_link_that_somebody_planted_is_followed(tmp_path: Path) -> None:
    """Not under the name that is written, nor under that of what is being written."""
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    for name in ("a", ".a.partial"):
        (tmp_path / name).symlink_to(mine)
    write_whole(tmp_path / "a", b"new")
    assert mine.read_bytes() == b"mine"
    assert (tmp_path / "a").read_bytes() == b"new" and not (tmp_path / "a").is_symlink()


def test_what_is_written_is_nobody_elses_file(tmp_path: Path) -> None:
    planted = tmp_path / ".a.partial"
    planted.write_bytes(b"")
    planted.chmod(0o666)
    with planted.open("r+b") as held:
        write_whole(tmp_path / "a", b"new", mode=0o600)
        held.write(b"CHANGED")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_permissions_that_no_umask_takes_away(tmp_path: Path) -> None:
    with umask(0o077):
        write_whole(tmp_path / "a", b"", 0o664, shared=True)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o664


def test_a_shared_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Whoever may write beside it could have planted it; one's own folder may well be a link."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "folder").symlink_to(victim)
    with pytest.raises(OSError):
        write_whole(tmp_path / "folder" / "a", b"", shared=True)
    assert list(victim.iterdir()) == []
    write_whole(tmp_path / "folder" / "a", b"mine")
    assert (victim / "a").read_bytes() == b"mine"


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError), whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writes_have_left_is_dropped(tmp_path: Path) -> None:
    kept = {".a.partial", "a", ".b.0123456789abcdeg.partial"}
    (tmp_path / "below").mkdir()
    for name in (*kept, ".a.0123456789abcdef.partial", "below/.b.0123456789abcdef.partial"):
        (tmp_path / name).touch()
    drop_partials(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {*kept, "below"}


NOT_BYTES = "a text"
"""Content that breaks off the writing itself."""


def test_a_folder_is_made_and_its_files_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = write_folder(folder, {"b": b"2", "a": b"1"})
    assert paths == [folder / "b", folder / "a"]
    assert [path.read_bytes() for path in paths] == [b"2", b"1"]


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(
        InputError, match="cannot write the output: a file is in the place"
    ) as caught:
        write_folder(tmp_path / "out", {"a": b"1"})
    assert caught.value.file == str(tmp_path / "out")
    assert "Choose another out=" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "Free space"),
        (errno.EACCES, "Let this user write there"),
        (errno.EROFS, "Let this user write there"),
        (errno.ENOTDIR, "move the file away"),
    ],
)
def test_the_remedy_for_an_output_folder_is_for_what_is_in_the_way(code, remedy):
    error = unwritable(Path("out"), OSError(code, os.strerror(code)))
    assert remedy in str(error)
    assert "cannot write the output" in str(error)


def test_a_file_in_the_place_of_the_output_folder_is_said(tmp_path):
    (tmp_path / "out").write_text("notes")
    for folder in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(InputError, match="a file is in the place of the folder"):
            write_folder(folder, {"a": b""})
    assert (tmp_path / "out").read_text() == "notes"


def test_what_the_system_refuses_is_bad_input_and_other_failures_are_not():
    full = refused_by_system(OSError(errno.ENOSPC, "No space left on device", "/data/x"))
    assert str(full).startswith("the system refuses: No space left on device (file /data/x). Free")
    assert refused_by_system(OSError(errno.EMFILE, "Too many open files")).file is None
    for error in (BrokenPipeError(errno.EPIPE, "x"), ConnectionError("x"), OSError("x")):
        assert refused_by_system(error) is None
