"""Files that are whole or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from xstat_ray.errors import InputError


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file durably under its name, at once or not at all.

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
    """Write files, each whole, by their names into a folder that is made if need be.

    Returns their paths.

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
    """What to tell the user when an output folder refuses to take a file."""
    return InputError(
        f"cannot write the output: {error.strerror}",
        file=str(folder),
        remedy="Free space or choose another out=; the same command resumes the release without spending budget again",
    )
