"""A party's end of its link with one party of the other side.

Two parties have a session, keys for the persons of their tables, and a tag key, of which no third
party knows anything. A row party has such a link with each column party, side by side.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.oprf import PERSON_KEY_BYTES, item_hashes
from xstat_ray.crypto.tags import tags
from xstat_ray.errors import ProtocolError
from xstat_ray.model.encoding import Message
from xstat_ray.model.messages import Choices, Matrix, Offer
from xstat_ray.roles.id_exchange import IdExchange, Shape
from xstat_ray.roles.payer import Payer
from xstat_ray.roles.seat import Seat

_SEED_BYTES = 32
_COUNT_BYTES = 8
MessageT = TypeVar("MessageT", bound=Message)


class Link(Payer):
    """Exchanges persons for person keys, seals what is for the other party, and makes tags.

    Call the handshake of `Session` first; once the persons are known call `offer_columns`,
    `choose_columns` and `accept_choices`; then, for every bin, `hide` and `evaluate`.
    """

    def __init__(self, seat: Seat) -> None:
        """Begin a session; there are no persons yet."""
        super().__init__(seat)
        self._exchange = IdExchange(self.role, os.urandom(_SEED_BYTES))

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"exchange": self._exchange.seed}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._exchange.seed = secrets["exchange"]

    def take_persons(self, ids: NDArray[np.bytes_], contents: bytes) -> None:
        """Take the persons of this party's table, before anything is offered.

        Args:
            ids: (P,) normalised ids, by number of the person.
            contents: hash of who is in the table.
        """
        self._exchange.take(item_hashes(self._agreed.salt, ids), contents)

    def offer_columns(self) -> bytes:
        """Announce this party's persons, rounded up, sealed for the other party.

        The offer also asks for what this party has recorded of the other's ledger. Called in the
        party's first environment, as are `choose_columns`, `accept_choices` and `share_exchange`.

        Raises:
            InputError: the ledger cannot be used.
        """
        offer = self._exchange.offer()
        return self._seal("offer", replace(offer, witnessed=self._ask_heads()))

    def choose_columns(self, sealed: bytes) -> bytes:
        """Take the other party's offer, and choose among its columns, sealed for it.

        Raises:
            InputError: this party's ledger lacks what the other has recorded of it.
            ProtocolError: the message was altered, or is no offer.
        """
        theirs = self._open("offer", sealed, Offer)
        self._check_ledger(theirs.witnessed)
        mine = self._exchange.offer()
        return self._seal("choices", self._exchange.choose(mine, theirs, self._agreed.view))

    def accept_choices(self, sealed: bytes) -> Shape:
        """Take the other party's choices.

        Returns:
            The public figures of the exchange, which is ready to work through its bins.

        Raises:
            ProtocolError: the message was altered, or holds no choices.
        """
        self._exchange.accept(self._open("choices", sealed, Choices), self._agreed.view)
        return self._exchange.shape

    def share_exchange(self) -> bytes:
        """Seal what the choices gave for the party's other environments."""
        return self._within.seal(self._exchange.share(), "exchange")

    def join_exchange(self, sealed: bytes) -> None:
        """Take what `share_exchange` of the party's first environment gave."""
        self._exchange.join(self._within.open(sealed, "exchange"))

    def hide(self, number: int) -> bytes:
        """Hide the persons of a bin, sealed for the other party.

        Raises:
            ProtocolError: the bin is fuller than its public capacity.
        """
        matrix = self._exchange.hide(number, self._agreed.salt)
        return self._seal(f"matrix {number}", matrix)

    def evaluate(self, sealed: bytes, number: int) -> None:
        """Give the persons of a bin their keys, by the other party's matrix.

        Raises:
            ProtocolError: the message was altered, or holds another matrix.
        """
        theirs = self._open(f"matrix {number}", sealed, Matrix)
        if theirs.bin != number:
            raise ProtocolError("the other party sent the matrix of another bin")
        self._exchange.evaluate(theirs, self._agreed.salt)

    def keys_of(self, number: int) -> bytes:
        """Seal the keys of a bin for the party's other environments.

        The driver, which hands them on, sees the size of a full bin.
        """
        keys = self._exchange.keys_of(number)
        capacity = self._exchange.shape.capacity(self.role)
        packed = len(keys).to_bytes(_COUNT_BYTES, "little") + keys.tobytes()
        filled = packed.ljust(_COUNT_BYTES + capacity * PERSON_KEY_BYTES, b"\0")
        return self._within.seal(filled, f"keys {number}")

    def put_keys(self, numbers: Sequence[int], *sealed: bytes) -> None:
        """Take the keys of bins that other environments worked out.

        Args:
            numbers: numbers of the bins.
            sealed: what `keys_of` gave, bin by bin.

        Raises:
            ProtocolError: a message was altered.
        """
        for number, message in zip(numbers, sealed, strict=True):
            opened = self._within.open(message, f"keys {number}")
            count = int.from_bytes(opened[:_COUNT_BYTES], "little")
            keys = np.frombuffer(opened, np.uint8, count * PERSON_KEY_BYTES, _COUNT_BYTES)
            self._exchange.put(number, keys.reshape(count, PERSON_KEY_BYTES))

    def _seal(self, purpose: str, message: Message) -> bytes:
        return self._channel(self.role).seal(message.encode(self._study.digest), purpose)

    def _open(self, purpose: str, sealed: bytes, kind: type[MessageT]) -> MessageT:
        opened = self._channel(self.other).open(sealed, purpose)
        return kind.decode(opened, self._study.digest)

    def view(self) -> str:
        """Name the view that the pool gets: the handshake's, as each shows one."""
        return self._agreed.view

    def tags(self, person: NDArray[np.int32], period: NDArray[np.uint32]) -> NDArray[np.uint8]:
        """(N, 16) tags of persons, by number, in periods."""
        keys = self._exchange.person_keys
        return tags(self._agreed.tag_key, keys, person, period)
