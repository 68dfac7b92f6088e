"""Person keys on disk, sealed, so that no person is exchanged twice for one release.

A run that was interrupted reads them again, and so does a run over a table to which days were
added: only new people are exchanged. The files lie in the party's private folder as long as its
release is unfinished.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.channel import Channel, pack_fields, unpack_fields
from xstat_ray.crypto.group import PERSON_KEY_BYTES
from xstat_ray.util.files import unwritable, write_whole

_PURPOSE = "keys of persons"
_FILES = "persons-*.sealed"


def write(folder: Path, channel: Channel, ids: NDArray[np.bytes_], keys: NDArray[np.uint8]) -> None:
    """Add a file with the keys of some persons.

    Args:
        folder: the party's private folder; it is made if it does not exist.
        channel: seals the file.
        ids: (P,) normalised ids.
        keys: (P, 12) keys.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    fields = {
        "width": str(ids.dtype.itemsize).encode(),
        "ids": ids.tobytes(),
        "keys": keys.tobytes(),
    }
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / _FILES.replace("*", secrets.token_hex(8))
        write_whole(path, channel.seal(pack_fields(fields), _PURPOSE), mode=0o600)
    except OSError as error:
        raise unwritable(folder, error) from None


def read(
    folder: Path, channel: Channel, ids: NDArray[np.bytes_]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Look up persons in all files of a folder.

    Args:
        folder: the party's private folder.
        channel: opens the files.
        ids: (P,) normalised ids.

    Returns:
        (P,) whether a person's key is known, and (P, 12) keys, zeros where it is not.

    Raises:
        ProtocolError: a file was altered, or is another party's or another release's.
    """
    known = np.zeros(len(ids), bool)
    keys = np.zeros((len(ids), PERSON_KEY_BYTES), np.uint8)
    for path in sorted(folder.glob(_FILES)):
        fields = unpack_fields(channel.open(path.read_bytes(), _PURPOSE))
        kept = np.frombuffer(fields["ids"], f"S{int(fields['width'])}")
        order = np.argsort(kept)
        place = order[np.searchsorted(kept[order], ids).clip(max=len(kept) - 1)]
        found = kept[place] == ids
        kept_keys = np.frombuffer(fields["keys"], np.uint8).reshape(-1, PERSON_KEY_BYTES)
        keys[found] = kept_keys[place[found]]
        known |= found
    return known, keys
