"""Keys of persons that are kept for the release, sealed, so that no person is exchanged twice.

A run that was interrupted takes them up again, and so does one over a table to which days were
added: only people who are new are exchanged. They lie in the party's own folder while its release
is unfinished.
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
    """Add a file with the keys (P, 12) of some persons (P,).

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
    """Of the persons (P,), which are known, and the keys (P, 12) of those; zeros for the others.

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
        own = kept[place] == ids
        keys[own] = np.frombuffer(fields["keys"], np.uint8).reshape(-1, PERSON_KEY_BYTES)[
            place[own]
        ]
        known |= own
    return known, keys
