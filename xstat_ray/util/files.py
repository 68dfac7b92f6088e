"""Writes files that are whole or absent."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from xstat_ray.errors import InputError

_PARTIAL = re.compile(r"\..+\.[0-9a-f]{16}\.partial")


@contextmanager
def whole_file(path: Path, mode: int = 0o666, *, shared: bool = False) -> Iterator[BinaryIO]:
    """Open a file that takes its name, durably, when the block ends; if it fails, nothing is left.

    Until then it has a name that nobody can know beforehand, and it is made anew: a link or a file
    that somebody planted under a name that is written is replaced, never followed or written into.

    Args:
        path: where to write; its folder exists.
        mode: permissions of the new file, less the process's umask.
        shared: whether others may write to the folder. The folder itself may then not be a link,
            and the file has exactly the permissions `mode`.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; `path` is as it was before.
    """
    link = os.O_NOFOLLOW if shared else 0
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | link)
    try:
        partial = f".{path.name}.{secrets.token_hex(8)}.partial"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(partial, flags, mode, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if shared:
                    os.fchmod(descriptor, mode)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(partial, dir_fd=folder)
            raise
        os.fsync(folder)
    finally:
        os.close(folder)


def write_whole(path: Path, content: bytes, mode: int = 0o666, *, shared: bool = False) -> None:
    """Write a file durably, whole or not at all; see `whole_file`.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; `path` is as it was before.
    """
    with whole_file(path, mode, shared=shared) as file:
        file.write(content)


def drop_partials(folder: Path) -> None:
    """Remove what killed writes have left in a folder, or below it, that nobody else is using."""
    for path in folder.rglob(".*.partial"):
        if _PARTIAL.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, each whole or not at all.

    Args:
        folder: where to write; it is made if it does not exist.
        files: contents by name.

    Returns:
        The paths of the files.

    Raises:
        InputError: the disk is full or the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise unwritable(folder, error) from None
    return [folder / name for name in files]


def unwritable(folder: Path, error: OSError) -> InputError:
    """Make the error for an output folder that does not take a file."""
    again = "the same command resumes the release without spending budget again"
    why = error.strerror or type(error).__name__
    remedy = f"Free space or choose another out=; {again}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        why = "a file is in the place of the folder, or of one above it"
        remedy = "Choose another out=, or move the file away"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = f"Let this user write there, or choose another out=; {again}"
    return InputError(f"cannot write the output: {why}", file=str(folder), remedy=remedy)


_REMEDIES = {
    errno.ENOSPC: "Free space on that disk",
    errno.EDQUOT: "Free space, or have the quota raised",
    errno.EFBIG: "Raise the largest size of a file (ulimit -f)",
    errno.EROFS: "Name a place that can be written to",
    errno.EACCES: "Let this user read and write there",
    errno.EPERM: "Let this user read and write there",
    errno.EMFILE: "Raise the number of open files (ulimit -n)",
    errno.ENFILE: "Raise the number of open files of the machine",
}


def refused_by_system(error: OSError) -> InputError | None:
    """Make the error for a disk, a right or a limit that is in the way; None for other failures."""
    if error.errno not in _REMEDIES:
        return None
    file = None if error.filename is None else str(error.filename)
    remedy = f"{_REMEDIES[error.errno]}; the same command starts over, or finishes a release"
    return InputError(f"the system refuses: {error.strerror}", file=file, remedy=remedy)
