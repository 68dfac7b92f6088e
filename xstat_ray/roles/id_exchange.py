"""The ID exchange as one party sees it: from ids to person keys, with the help of the other party.

A person's id is hashed to ristretto255 and multiplied by both parties' secret scalars; the key of
the person is a hash of the product (Meadows 1986; Huberman, Franklin and Hogg 1999).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import group
from xstat_ray.crypto.derive import keyed_words
from xstat_ray.crypto.group import PERSON_KEY_BYTES
from xstat_ray.errors import ProtocolError
from xstat_ray.util.secrecy import Secret


class IdExchange(Secret):
    """Persons of one environment, by number, on their way to person keys.

    Call `take` first, then `recall` where an earlier run kept keys, then `blind` and `finalize` for
    every part of the persons that are left. `evaluate` serves the other party, at any time.
    """

    def __init__(self, scalar: bytes) -> None:
        """Start without persons.

        Args:
            scalar: 32 bytes, this party's secret of the exchange.
        """
        self.scalar = scalar
        self._ids: NDArray[np.bytes_] = np.zeros(0, "S1")
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._known: NDArray[np.bool_] = np.zeros(0, bool)
        self._keys: NDArray[np.uint8] | None = None

    @property
    def persons(self) -> int:
        """Number of distinct persons; the other party learns it."""
        return len(self._ids)

    @property
    def left(self) -> int:
        """Number of persons that are still to be exchanged."""
        return len(self._order)

    @property
    def ids(self) -> NDArray[np.bytes_]:
        """(P,) normalised ids, by number; empty strings once all persons have their keys."""
        return self._ids

    def take(self, ids: NDArray[np.bytes_], seed: bytes, first: int = 0) -> None:
        """Take the persons, by number, and draw the secret order in which they are exchanged.

        Args:
            ids: (P,) normalised ids.
            seed: 32 bytes from which the order follows.
            first: place of the first person among all persons of the party, where several
                environments divide them.
        """
        numbers = np.arange(first, first + len(ids), dtype=np.uint32)
        self._ids = ids
        self._order = np.argsort(keyed_words(seed, "order of persons", numbers), kind="stable")
        self._known = np.zeros(len(ids), bool)
        self._keys = np.zeros((len(ids), PERSON_KEY_BYTES), np.uint8)

    def recall(self, known: NDArray[np.bool_], keys: NDArray[np.uint8]) -> None:
        """Take up keys that an interrupted run kept.

        Args:
            known: (P,) whether a person's key is known.
            keys: (P, 12) keys; those that are not known are not used.
        """
        self._known = known
        self._keys = keys
        self._order = self._order[~known[self._order]]
        self.forget_ids()

    def blind(self, part: range, salt: bytes) -> NDArray[np.uint8]:
        """Hash persons to the group and multiply them by this party's scalar.

        Args:
            part: places among the persons that are left.
            salt: bytes that both parties share, hashed with each id.

        Returns:
            (N, 32) points.
        """
        ids = self._ids[self._order[part.start : part.stop]].tolist()
        points = group.hash_to_group([salt + person for person in ids], group.PERSON_DST)
        return group.multiply(self.scalar, points)

    def evaluate(self, points: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Multiply the other party's (N, 32) blinded points by this party's scalar, in their order.

        Raises:
            ProtocolError: a point is invalid or the identity.
        """
        return group.multiply(self.scalar, points)

    def finalize(
        self, points: NDArray[np.uint8], part: range
    ) -> tuple[NDArray[np.bytes_], NDArray[np.uint8]]:
        """Take back points, multiplied by both scalars, and hash them to person keys.

        Args:
            points: (N, 32) points in the order in which `blind` gave them.
            part: the part that was blinded.

        Returns:
            The ids (N,) of these persons and their keys (N, 12), to be kept for a resumed run.

        Raises:
            ProtocolError: a point is invalid, or there are not as many as were sent.
        """
        if len(points) != len(part):
            raise ProtocolError(
                "the other party returned another number of points than it was sent"
            )
        group.validate(points)
        persons = self._order[part.start : part.stop]
        keys = group.person_keys(points)
        self._taken[persons] = keys
        self._known[persons] = True
        return self._ids[persons], keys

    def forget_ids(self) -> None:
        """Forget who the persons are once all of them have their keys: nobody needs it any more."""
        if self._known.all():
            self._ids = np.zeros(self.persons, "S1")
            self._order = np.zeros(0, np.int64)

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
