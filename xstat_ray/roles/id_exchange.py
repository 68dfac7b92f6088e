"""The ID exchange as one party sees it: from ids to person keys, which need both parties' secrets.

Each party has a secret function of ids, and evaluates it itself on its own ids. The other party's
function reaches it by an oblivious pseudorandom function (Chase and Miao, CRYPTO 2020): it learns
the values on its own ids, and the other party learns nothing. The person key is a hash of both
values, so neither party can compute the key of a person whom it does not have.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import oprf
from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.crypto.derive import derive, uniform_words
from xstat_ray.crypto.group import ORDER
from xstat_ray.crypto.oblivious_transfer import OtSender, choose
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Choices, Matrix, Offer
from xstat_ray.model.study import Role
from xstat_ray.util.secrecy import Secret

BIN_PERSONS = 1 << 16
"""Mean number of persons in a bin of the larger table: what a call works through at most."""
MOST_PERSONS = 1 << 28
"""Most persons that a party may announce; the security of the parameters is shown up to here."""
_LEAST_PERSONS = 256
_STEPS = 16
"""Announced numbers have so many steps between two powers of two."""


@dataclass(frozen=True)
class Shape:
    """What both parties know of the exchange: public figures, from rounded numbers of persons."""

    row: int
    """Persons that the row party announced."""
    column: int
    """Persons that the column party announced."""
    bins: int
    """Number of bins into which a keyed hash puts the persons of both parties."""
    width: int
    """Number of columns of a matrix, which is that of oblivious transfers."""

    @classmethod
    def of(cls, row: Offer, column: Offer) -> Shape:
        """Take the shape from both parties' offers.

        Raises:
            ProtocolError: a party announces no persons, or more than the exchange is made for.
        """
        sizes = (row.persons, column.persons)
        if not all(_LEAST_PERSONS <= size <= MOST_PERSONS for size in sizes):
            raise ProtocolError(
                f"a party announces fewer than {_LEAST_PERSONS} or more than {MOST_PERSONS} persons"
            )
        if any(announced(size) != size for size in sizes):
            raise ProtocolError("a party announces a number that is not rounded")
        bins = -(-max(sizes) // BIN_PERSONS)
        capacity = min(oprf.capacity(size, bins) for size in sizes)
        return cls(*sizes, bins, oprf.width(sum(sizes), capacity))

    def capacity(self, role: Role) -> int:
        """Most persons of this party that a bin holds."""
        return oprf.capacity(self.row if role == "row" else self.column, self.bins)


def announced(persons: int) -> int:
    """Round a number of persons up to what the other party is told: 16 steps for each doubling."""
    step = 1 << max(0, (persons - 1).bit_length() - _STEPS.bit_length())
    return max(_LEAST_PERSONS, -(-persons // step) * step)


class IdExchange(Secret):
    """The party's persons, by number, on their way to person keys, in one of its environments.

    Call `take` first; then `offer`, `choose` and `accept`, in this order, in the party's first
    environment; `share` in the first and `join` in all others; then for every bin, in one of them,
    `hide`, and `evaluate` with what the other party's gave; then `keys_of` there, and `put` in the
    others.
    """

    def __init__(self, role: Role, seed: bytes) -> None:
        """Start without persons.

        Args:
            role: the party.
            seed: 32 secret bytes from which, with who is in the table, all that the party draws
                here follows.
        """
        self._role = role
        self._other: Role = "column" if role == "row" else "row"
        self.seed = seed
        self._secret: bytes | None = None
        self._shape: Shape | None = None
        self._bits = np.zeros(0, bool)
        self._chosen = np.zeros((0, 16), np.uint8)
        self._pairs = np.zeros((0, 2, 16), np.uint8)
        self._items = np.zeros((0, oprf.ITEM_BYTES), np.uint8)
        self._keys: NDArray[np.uint8] | None = None
        self._known = np.zeros(0, bool)
        self._order = np.zeros(0, np.int64)
        self._starts = np.zeros(1, np.int64)

    # Oblivious transfers, in the party's first environment

    def offer(self) -> Offer:
        """Announce this party's persons, rounded up, and offer the transfers of its columns."""
        point = np.frombuffer(self._transfers.offer, np.uint8).reshape(1, -1)
        return Offer(persons=announced(self.persons), point=point)

    def choose(self, mine: Offer, theirs: Offer, session: str) -> Choices:
        """Fix the shape, and choose by secret bits which of the other's columns come across.

        Args:
            mine: what `offer` gave.
            theirs: the other party's offer.
            session: name of the session, to which the transfers are bound.

        Raises:
            ProtocolError: the other party's offer is not one.
        """
        offers = {self._role: mine, self._other: theirs}
        self._shape = Shape.of(offers["row"], offers["column"])
        if theirs.point.shape != (1, 32):
            raise ProtocolError("an offer is one group element")
        words = uniform_words(
            self._transfer_secret, "bits of the function", -(-self._shape.width // 64)
        )
        bits = np.unpackbits(words.view(np.uint8), bitorder="little")[: self._shape.width]
        self._bits = bits.astype(bool)
        points, self._chosen = choose(
            theirs.point.tobytes(),
            self._bits,
            derive(self._transfer_secret, "scalars of the choices", 32),
            _transfers_of(self._other, session),
        )
        return Choices(points=points)

    def accept(self, theirs: Choices, session: str) -> None:
        """Take the other party's choices.

        Args:
            theirs: the other party's choices.
            session: name of the session.

        Raises:
            ProtocolError: another number of them, or points that are invalid or the identity.
        """
        if theirs.points.shape != (self.shape.width, 32):
            raise ProtocolError("the other party chooses another number of columns")
        self._pairs = self._transfers.keys(theirs.points, _transfers_of(self._role, session))

    @property
    def _transfer_secret(self) -> bytes:
        if self._secret is None:
            raise ProtocolError("the intake has not taken place")
        return self._secret

    @property
    def _transfers(self) -> OtSender:
        wide = int.from_bytes(derive(self._transfer_secret, "scalar of the offer", 64), "little")
        return OtSender((1 + wide % (ORDER - 1)).to_bytes(32, "little"))

    @property
    def shape(self) -> Shape:
        """The public figures of the exchange.

        Raises:
            ProtocolError: the parties have not agreed on them.
        """
        if self._shape is None:
            raise ProtocolError("the ID exchange has not begun")
        return self._shape

    def share(self) -> bytes:
        """Pack what the party's other environments need, for them alone."""
        numbers = {name: str(value).encode() for name, value in asdict(self.shape).items()}
        arrays = {
            "bits": self._bits.tobytes(),
            "chosen": self._chosen.tobytes(),
            "pairs": self._pairs.tobytes(),
        }
        return pack_fields(numbers | arrays)

    def join(self, shared: bytes) -> None:
        """Take what `share` of the party's first environment gave."""
        fields = unpack_fields(shared)
        self._shape = Shape(*(int(fields[name]) for name in ("row", "column", "bins", "width")))
        self._bits = np.frombuffer(fields["bits"], bool)
        self._chosen = np.frombuffer(fields["chosen"], np.uint8).reshape(-1, 16)
        self._pairs = np.frombuffer(fields["pairs"], np.uint8).reshape(-1, 2, 16)
        self._starts = np.zeros(1, np.int64)

    # Persons

    @property
    def persons(self) -> int:
        """Number of distinct persons."""
        return len(self._items)

    def take(self, items: NDArray[np.uint8], contents: bytes) -> None:
        """Take the persons, before anything is offered.

        Args:
            items: (P, 16) hashes of the persons, by number.
            contents: hash of who is in the party's table. Other people give other transfers,
                so that no key stream ever hides two tables.
        """
        self._secret = derive(self.seed + contents, "exchange of these persons", 32)
        self._items = items
        self._keys = np.zeros((len(items), oprf.PERSON_KEY_BYTES), np.uint8)
        self._known = np.zeros(len(items), bool)
        self._starts = np.zeros(1, np.int64)

    def _of_bin(self, number: int) -> NDArray[np.int64]:
        """Persons of a bin.

        Raises:
            ProtocolError: there is no such bin.
        """
        if not 0 <= number < self.shape.bins:
            raise ProtocolError("there is no such bin")
        if len(self._starts) <= self.shape.bins:
            bins = oprf.bins_of(self._items, self.shape.bins)
            self._order = np.argsort(bins, kind="stable")
            self._starts = np.searchsorted(bins[self._order], np.arange(self.shape.bins + 1))
        return self._order[self._starts[number] : self._starts[number + 1]]

    # Bins

    def hide(self, number: int, secret: bytes) -> Matrix:
        """Hide the persons of a bin: by this the other party's function can be learned on them.

        A repeat gives the same bytes.

        Args:
            number: number of the bin.
            secret: bytes that both parties share.

        Raises:
            ProtocolError: the bin has more persons than its public capacity; this has a chance
                below 2^-40.
        """
        columns = oprf.hidden(
            _positions(secret, self._role),
            self._items[self._of_bin(number)],
            self._pairs,
            number,
            self.shape.capacity(self._role),
        )
        return Matrix(bin=number, columns=columns)

    def evaluate(self, theirs: Matrix, secret: bytes) -> None:
        """Evaluate both functions on this party's persons of a bin: they get their keys.

        Args:
            theirs: the other party's matrix of the bin.
            secret: bytes that both parties share.

        Raises:
            ProtocolError: the matrix is of another size.
        """
        number = theirs.bin
        persons = self._of_bin(number)
        items = self._items[persons]
        capacity = {role: self.shape.capacity(role) for role in (self._role, self._other)}
        of = {
            self._role: oprf.evaluated(
                _positions(secret, self._other),
                items,
                theirs.columns,
                self._bits,
                self._chosen,
                number,
                capacity[self._other],
            ),
            self._other: oprf.learned(
                _positions(secret, self._role), items, self._pairs, number, capacity[self._role]
            ),
        }
        self.put(number, oprf.person_keys(number, of["row"], of["column"]))

    def keys_of(self, number: int) -> NDArray[np.uint8]:
        """(N, 12) keys of the persons of a bin, by number."""
        return self._taken[self._of_bin(number)]

    def put(self, number: int, keys: NDArray[np.uint8]) -> None:
        """Take the (N, 12) keys of the persons of a bin, by number.

        Raises:
            ProtocolError: another number of keys than of persons.
        """
        persons = self._of_bin(number)
        if keys.shape != (len(persons), oprf.PERSON_KEY_BYTES):
            raise ProtocolError("a bin has another number of person keys than of persons")
        self._taken[persons] = keys
        self._known[persons] = True

    @property
    def _taken(self) -> NDArray[np.uint8]:
        if self._keys is None:
            raise ProtocolError("the intake has not taken place")
        return self._keys

    @property
    def person_keys(self) -> NDArray[np.uint8]:
        """(P, 12) keys of all persons, by number.

        Raises:
            ProtocolError: the exchange has not come to its end.
        """
        if self._keys is None or not self._known.all():
            raise ProtocolError("the ID exchange has not taken place")
        return self._keys


def _transfers_of(role: Role, session: str) -> bytes:
    return f"columns of the {role} party in session {session}".encode()


def _positions(secret: bytes, role: Role) -> bytes:
    """Key of the positions of a party's persons in its matrices."""
    return derive(secret, f"positions of the {role} party's persons")
