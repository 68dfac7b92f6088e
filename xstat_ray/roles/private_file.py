"""Files in a party's private folder, which only the user who runs the party may read."""

from __future__ import annotations

from pathlib import Path

from xstat_ray.util.files import unwritable, write_whole


def write_private(folder: Path, name: str, content: bytes) -> None:
    """Write a file that only its owner may read; the folder is made if it does not exist.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(folder / name, content, mode=0o600)
    except OSError as error:
        raise unwritable(folder, error) from None
