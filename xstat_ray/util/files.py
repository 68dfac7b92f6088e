"""Writes files that are whole or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from xstat_ray.errors import InputError


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file durably, whole or not at all.

    Args:
        path: where to write; its folder exists.
        content: all of the file.
        mode: permissions of a new file.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; `path` is as it was before.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
    return InputError(
        f"cannot write the output: {error.strerror}",
        file=str(folder),
        remedy="Free space or choose another out=; the same command resumes the release without "
        "spending budget again",
    )
