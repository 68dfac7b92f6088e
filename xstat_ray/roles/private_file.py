"""Files in a party's own folder, which nobody but the party's own user may read."""

from __future__ import annotations

from pathlib import Path

from xstat_ray.util.files import unwritable, write_whole


def write_private(folder: Path, name: str, content: bytes) -> None:
    """Write a file that only its owner may read, and make the folder if it is not there.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(folder / name, content, mode=0o600)
    except OSError as error:
        raise unwritable(folder, error) from None
