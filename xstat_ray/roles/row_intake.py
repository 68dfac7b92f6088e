"""The row party's intake: who is in its table. Several environments divide the reading of ids."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.oprf import ITEM_BYTES, item_hashes
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.roles.intake import different_tables
from xstat_ray.roles.row_peers import RowPeers
from xstat_ray.roles.row_shape import MemoryRoom
from xstat_ray.roles.row_table import RowTable
from xstat_ray.roles.seat import Seat
from xstat_ray.roles.survey import Room, Survey, room_for


class RowIntake(RowPeers):
    """Surveys the row party's table.

    `make_fit` may come first. A party with one environment calls `intake`. Of several, each calls
    `survey`, and the first one `make_room` with what that gave. Those of neighbouring stretches
    call `hand_in` and `merge`, two by two, until the first has the survey of the whole table and
    hands it in. Each calls `take_survey` with it, and the first `check_usable`. Then each calls
    `hash_persons`, and `take_hashes` with what this gave in all.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._table: RowTable | None = None
        self._found: Survey | None = None
        self._room: MemoryRoom | None = None

    def make_fit(self, room: MemoryRoom) -> None:
        """Take what this environment must have room for; it is looked at when the intake begins."""
        self._room = room

    def intake(self) -> None:
        """Survey the table, after the handshake.

        Raises:
            InputError: the table cannot be read, contributes nothing, or is not that of an earlier
                step.
            PlanError: its batches do not fit into memory.
        """
        self._found = self._opened().survey()
        self._take(self._found)
        self.check_usable()
        self._take_items(self._items_of(range(self._persons)))

    def is_sorted(self) -> bool:
        """Tell whether every file of the table is sorted by id."""
        return not self._surveyed.unsorted

    # One environment of several

    def survey(self, number: int, environments: int) -> bytes:
        """Survey a stretch of the table, after the handshake.

        Args:
            number: number of this environment.
            environments: of the party, each of which surveys a stretch.

        Returns:
            How large the survey is, sealed for the party's environments; always as many bytes.

        Raises:
            InputError: the table cannot be read, or is not that of an earlier step.
            PlanError: its batches do not fit into memory.
        """
        self._found = self._opened().survey(number, environments)
        return self._within.seal(self._found.size(self._seed), "size of a survey")

    def make_room(self, *sizes: bytes) -> Room:
        """Find how large the messages are in which surveys are handed in.

        Args:
            sizes: what `survey` of all environments gave.
        """
        return room_for([self._within.open(size, "size of a survey") for size in sizes])

    def hand_in(self, room: Room) -> bytes:
        """Seal for the party's environments what this one has surveyed or merged."""
        return self._within.seal_long(self._so_far.export(room), "survey")

    def merge(self, sealed: bytes) -> None:
        """Take what was surveyed of the stretch that follows; a repeat changes nothing.

        Raises:
            InputError: it is of another table.
            ProtocolError: the message was altered, or is of another stretch.
        """
        later = self._handed_in(sealed)
        if later.pieces.start >= self._so_far.pieces.stop:
            self._found = self._so_far.joined(later)

    def take_survey(self, sealed: bytes) -> None:
        """Take the survey of the whole table.

        Raises:
            InputError: it does not fit what this environment has read.
            ProtocolError: the message was altered, or is of a stretch.
        """
        found = self._handed_in(sealed)
        try:
            self._take(found)
        except InputError as error:
            raise different_tables("row", error.file) from None
        self._found = found

    def check_usable(self) -> None:
        """Refuse a table without a row inside the study, before anything is encrypted.

        Raises:
            InputError: nothing of the table is usable.
        """
        self._surveyed.check_usable()

    def hash_persons(self, number: int, environments: int, room: Room) -> bytes:
        """Hash a share of the persons, sealed for the party's environments."""
        items = self._items_of(_share(self._persons, number, environments))
        filled = items.tobytes().ljust(room.hashes(ITEM_BYTES, environments), b"\0")
        return self._within.seal_long(filled, f"persons {number}")

    def take_hashes(self, *sealed: bytes) -> None:
        """Take the hashes of all persons.

        Args:
            sealed: what `hash_persons` of every environment gave, in their order.

        Raises:
            ProtocolError: a message was altered.
        """
        parts = [NO_ITEMS]
        for number, message in enumerate(sealed):
            opened = self._within.open_long(message, f"persons {number}")
            count = len(_share(self._persons, number, len(sealed)))
            items = np.frombuffer(opened, np.uint8, count * ITEM_BYTES)
            parts.append(items.reshape(count, ITEM_BYTES))
        self._take_items(np.concatenate(parts))

    # What they have in common

    def _opened(self) -> RowTable:
        self._table = RowTable(self._study, self._source, self._start_reading())
        if self._room is not None:
            self._table.check_room(self._room)
        self._record.set_aside = self._table.set_aside
        return self._table

    @property
    def _surveyed(self) -> RowTable:
        if self._table is None:
            raise ProtocolError("the intake has not taken place")
        return self._table

    @property
    def _so_far(self) -> Survey:
        if self._found is None:
            raise ProtocolError("this environment has surveyed nothing")
        return self._found

    def _handed_in(self, sealed: bytes) -> Survey:
        return Survey.from_bytes(self._within.open_long(sealed, "survey"))

    def _take(self, found: Survey) -> None:
        table = self._surveyed
        table.take(found)
        self._record.taken = table.counts
        self._record.dropped = table.dropped
        self._record.lists = table.lists
        self._record.unsorted = table.unsorted
        self._record.end_survey()

    @property
    def _persons(self) -> int:
        return len(self._surveyed.ids)

    def _items_of(self, persons: range) -> NDArray[np.uint8]:
        return item_hashes(self._agreed.salt, self._surveyed.ids[persons.start : persons.stop])

    def _take_items(self, items: NDArray[np.uint8]) -> None:
        """Take the hashes for the first link; other links have others."""
        contents = sha256(items.tobytes()).digest()
        self._exchange.take(items, contents)
        for link in self.links[1:]:
            link.take_persons(self._surveyed.ids, contents)


NO_ITEMS = np.zeros((0, ITEM_BYTES), np.uint8)


def _share(persons: int, number: int, environments: int) -> range:
    """Numbers of the persons whom an environment hashes."""
    return range(persons * number // environments, persons * (number + 1) // environments)
