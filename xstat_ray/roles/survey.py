"""What a survey of ids finds, in a form in which the environments of a party put it together.

Each reads the ids of a stretch of the table; two surveys of neighbouring stretches make one. What
they send each other passes through the driver, sealed, and is filled to a size that follows from an
estimate of the persons of the whole table, so that its size tells nothing of a stretch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.crypto.derive import keyed_text_words
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.tables import Piece
from xstat_ray.roles.id_exchange import announced
from xstat_ray.roles.intake import different_tables
from xstat_ray.util.arrays import run_starts
from xstat_ray.util.secrecy import Secret

_LEAST_WORDS = 4096
"""Words of a sketch, by which the number of persons is known to about one part in 64."""
_NO_WORD = (1 << 64) - 1
_MARGIN = 1.125
"""Eight times that error."""
_WIDTHS = 16
"""The length of the longest id is rounded up to a multiple of so many bytes."""
_LEAST_NOTES = 1 << 18
"""Bytes of all that is not an id, at least; more are rounded up to a power of two."""
_FRAME = 256
"""Bytes of the names and lengths of fields."""


@dataclass(frozen=True)
class Room:
    """How large the messages are that hold surveys: public figures."""

    persons: int
    bytes: int

    def hashes(self, size: int, environments: int) -> int:
        """Bytes of an environment's share of hashes, of so many bytes a person."""
        return -(-self.persons // environments) * size


@dataclass(frozen=True, repr=False)
class Survey(Secret):
    """Who is in consecutive pieces of a table, and what is known of their rows by the ids."""

    pieces: range
    """Numbers of the pieces."""
    ids: NDArray[np.bytes_]
    """(P,) normalised ids, sorted and distinct, without those of people to leave out."""
    rows: int
    """Number of rows."""
    invalid_id: int
    """Rows whose id has no normal form."""
    excluded: int
    """Rows of people to leave out."""
    forms: tuple[tuple[str, int], ...]
    """Forms of the ids without a normal form, and how often each occurs."""
    unsorted: frozenset[int]
    """Numbers of the files that are not sorted by id, as far as these pieces show it."""
    opened: str
    """Digest of what every environment reads before the ids, such as lists of people."""
    read: bytes
    """Digests of the ids, for `ReadDigests.expect`."""

    def joined(self, later: Survey) -> Survey:
        """Put this survey and that of the pieces behind together.

        Raises:
            InputError: they are of different tables.
            ProtocolError: these pieces do not lie behind.
        """
        if self.opened != later.opened:
            raise different_tables("row")
        if later.pieces.start != self.pieces.stop:
            raise ProtocolError("a survey of other pieces of the table was expected")
        # A stable sort merges runs that are in order.
        ids = np.sort(np.concatenate([self.ids, later.ids]), kind="stable")
        read = json.loads(self.read)
        for name, file in json.loads(later.read).items():
            known = read.setdefault(name, file)
            known["digests"] |= file["digests"]
        return Survey(
            pieces=range(self.pieces.start, later.pieces.stop),
            ids=ids[run_starts(ids)],
            rows=self.rows + later.rows,
            invalid_id=self.invalid_id + later.invalid_id,
            excluded=self.excluded + later.excluded,
            forms=self.forms + later.forms,
            unsorted=self.unsorted | later.unsorted,
            opened=self.opened,
            read=json.dumps(read).encode(),
        )

    def export(self, room: Room) -> bytes:
        """Write the survey down, filled to the size that the room tells."""
        written = pack_fields(self._notes() | {"ids": self.ids.tobytes()})
        return len(written).to_bytes(8, "little") + written.ljust(room.bytes, b"\0")

    @classmethod
    def from_bytes(cls, exported: bytes) -> Survey:
        """Read what `export` gave."""
        size = int.from_bytes(exported[:8], "little")
        fields = unpack_fields(exported[8 : 8 + size])
        noted = json.loads(fields["noted"])
        return cls(
            pieces=range(*noted["pieces"]),
            ids=np.frombuffer(fields["ids"], f"S{noted['width']}"),
            rows=noted["rows"],
            invalid_id=noted["invalid_id"],
            excluded=noted["excluded"],
            forms=tuple((form, times) for form, times in noted["forms"]),
            unsorted=frozenset(noted["unsorted"]),
            opened=noted["opened"],
            read=fields["read"],
        )

    def _notes(self) -> dict[str, bytes]:
        noted = {
            "pieces": [self.pieces.start, self.pieces.stop],
            "width": self.ids.dtype.itemsize,
            "rows": self.rows,
            "invalid_id": self.invalid_id,
            "excluded": self.excluded,
            "forms": self.forms,
            "unsorted": sorted(self.unsorted),
            "opened": self.opened,
        }
        return {"noted": json.dumps(noted).encode(), "read": self.read}

    # How large it is

    def size(self, key: bytes) -> bytes:
        """Tell how many persons there are, how long ids are, and who some are, as hashes.

        Args:
            key: 32 secret bytes of the party.

        Returns:
            The same number of bytes for any survey.
        """
        words = np.full(_LEAST_WORDS, _NO_WORD, "<u8")
        least = np.sort(keyed_text_words(key, "sketch of the persons", self.ids))[:_LEAST_WORDS]
        words[: len(least)] = least
        notes = sum(map(len, self._notes().values()))
        numbers = (len(self.ids), self.ids.dtype.itemsize, notes)
        return b"".join(number.to_bytes(8, "little") for number in numbers) + words.tobytes()


def room_for(sizes: Sequence[bytes]) -> Room:
    """Find a size that has room for the survey of any environment, and for that of all pieces.

    It follows from an estimate of the number of distinct persons (the k least of their hashes; Bar-
    Yossef et al., RANDOM 2002), from the length of the longest id, and from the number of pieces;
    each is rounded.

    Args:
        sizes: what `Survey.size` of all environments gave.
    """
    heads = [np.frombuffer(size, "<u8", 3).tolist() for size in sizes]
    words = np.unique(np.concatenate([np.frombuffer(size, "<u8", offset=24) for size in sizes]))
    found = len(words) - int(words[-1] == _NO_WORD)
    estimate = float(found)
    if found >= _LEAST_WORDS:
        estimate = _MARGIN * _LEAST_WORDS * 2.0**64 / float(words[_LEAST_WORDS - 1])
    # The estimate is too small by chance less than once in a million times.
    persons = announced(max(int(estimate), *(of_one for of_one, _, _ in heads)))
    width = max(width for _, width, _ in heads)
    notes = max(_LEAST_NOTES, sum(notes for _, _, notes in heads) + _FRAME)
    ids = persons * -(-width // _WIDTHS) * _WIDTHS
    return Room(persons, ids + (1 << (notes - 1).bit_length()))


def stretches(pieces: Sequence[Piece], number: int) -> list[range]:
    """Divide pieces into so many stretches of neighbours, all with about as many rows.

    Of files that do not tell their rows, the bytes are counted instead.
    """
    sizes = [piece.group.rows if piece.group else piece.file.stamp.size for piece in pieces]
    ends = np.cumsum(sizes)
    middles = ends - np.array(sizes) / 2
    edges = np.searchsorted(middles, ends[-1] * np.arange(1, number) / number).tolist()
    return list(map(range, [0, *edges], [*edges, len(pieces)]))
