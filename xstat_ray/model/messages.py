"""The messages that cross between roles.

A message is a frozen dataclass of public header fields and numpy arrays with one row per item.
docs/format.md specifies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.encoding import (
    NO_HEAD,
    VIEW_DIGITS,
    Bytes32,
    Head,
    Heads,
    Message,
    Views,
)


@dataclass(frozen=True)
class Offer(Message):
    """What a party tells the other before the ID exchange, to which it offers its columns."""

    persons: int
    """Number of the party's persons, rounded up."""
    point: NDArray[np.uint8]
    """(1, 32) the group element that offers the oblivious transfers."""
    witnessed: Heads = ""
    """Heads of the other party's ledger that the sender recorded, and that must be in it."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"point": ("uint8", 2)}


@dataclass(frozen=True)
class Choices(Message):
    """A party's choices among the columns that the other offered, one for each transfer."""

    points: NDArray[np.uint8]
    """(columns, 32) group elements."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"points": ("uint8", 2)}


@dataclass(frozen=True)
class Matrix(Message):
    """A party's persons of one bin, hidden: the other's function can be learned on them alone."""

    bin: int
    columns: NDArray[np.uint64]
    """(columns, words) bits of each column, the first in the lowest bit of the first word."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"columns": ("uint64", 2)}


@dataclass(frozen=True)
class Tree(Message):
    """The sizes of one measured level of the row tree, in blinded order: sizes without names."""

    view: str
    """Name of the view, 32 hexadecimal digits: of the one emission of tables that it belongs to."""
    starts: NDArray[np.int64]
    """(nodes,) where the descendants of each node begin on the measured level below, ascending from
    0."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"starts": ("int64", 1)}


@dataclass(frozen=True)
class Rows(Message):
    """The row party's de-identified rows of one shard, in the order of `crypto.tags.sort_order`."""

    view: Views
    """Names of the views with all column parties, one behind the other."""
    shard: int
    tags: NDArray[np.uint8]
    """(N, 16 * parties): of every row a tag for each column party, sorted by the first."""
    cells: NDArray[np.uint32]
    """(N,) blinded cell numbers."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"tags": ("uint8", 2), "cells": ("uint32", 1)}

    @property
    def views(self) -> list[str]:
        """Names of the views, in the order of the column parties."""
        starts = range(0, len(self.view), VIEW_DIGITS)
        return [self.view[start : start + VIEW_DIGITS] for start in starts]


@dataclass(frozen=True)
class Flags(Message):
    """A part of the column party's flags of one batch, sorted by tag.

    The parts of a batch are consecutive.
    """

    view: str
    batch: int
    part: int
    tags: NDArray[np.uint8]
    """(M, 16)"""
    ciphertexts: NDArray[np.uint8]
    """(M, blocks, width): in one block an encryption of 2^(b*slot), in the others of zero."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {
        "tags": ("uint8", 2),
        "ciphertexts": ("uint8", 3),
    }


@dataclass(frozen=True)
class Partial(Message):
    """Encrypted counts of some cells."""

    view: str
    cells: NDArray[np.uint32]
    """(C,) blinded cell numbers, strictly ascending."""
    ciphertexts: NDArray[np.uint8]
    """(C, blocks, width)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {
        "cells": ("uint32", 1),
        "ciphertexts": ("uint8", 3),
    }


@dataclass(frozen=True)
class RerandomisedTable(Message):
    """The table of all measured levels, every ciphertext freshly randomised; not masked.

    Whoever has the key could decrypt it, so it goes to the row party alone.
    """

    ciphertexts: NDArray[np.uint8]
    """(nodes, blocks, width): the cells, then each measured level above them, in blinded order."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"ciphertexts": ("uint8", 3)}


@dataclass(frozen=True)
class Masks(Message):
    """The row party's encrypted masks of consecutive nodes, for the aggregator alone."""

    first: int
    """Node that comes first."""
    ciphertexts: NDArray[np.uint8]
    """(C, blocks, width)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"ciphertexts": ("uint8", 3)}


@dataclass(frozen=True)
class MaskedTable(Message):
    """The rerandomised table with a mask on every ciphertext: the only thing that is decrypted."""

    ciphertexts: NDArray[np.uint8]
    """(nodes, blocks, width), in the order of `RerandomisedTable`."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"ciphertexts": ("uint8", 3)}


@dataclass(frozen=True)
class Approval(Message):
    """The row party's consent to open one masked table, for the key holder."""

    release: str
    """Release id, 32 hexadecimal digits."""
    digest: NDArray[np.uint8]
    """(1, 32) SHA-256 of the encoded masked table."""
    commitment: NDArray[np.uint8]
    """(1, 32) what the row party is bound to by it: the seed of its masks."""
    head: Head = NO_HEAD
    """Head of the row party's ledger, which has debited the release."""
    witnessed: Heads = ""
    """Heads that the row party recorded of the key holder's ledger in other sessions."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {
        "digest": ("uint8", 2),
        "commitment": ("uint8", 2),
    }


@dataclass(frozen=True)
class OpenedTable(Message):
    """Decrypted numbers of consecutive nodes, still masked, from the key holder to the row party.

    To everybody else they are uniform numbers below n.
    """

    release: str
    first: int
    """Node that comes first."""
    numbers: NDArray[np.uint8]
    """(C, blocks, width / 2) numbers modulo n, little-endian."""
    head: Head = NO_HEAD
    """Head of the key holder's ledger, which has debited the release."""
    witnessed: Heads = ""
    """Heads that the key holder recorded of the row party's ledger in other sessions."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"numbers": ("uint8", 3)}


@dataclass(frozen=True)
class Coefficients(Message):
    """Noisy coefficients: of consecutive nodes in blinded order, or of all in declared order."""

    release: str
    first: int
    """Node that comes first."""
    values: NDArray[np.int64]
    """(C, slots)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"values": ("int64", 2)}


@dataclass(frozen=True)
class MaskSeed(Message):
    """The seed of the row party's masks, which it shows the key holder after publication."""

    release: str
    seed: NDArray[np.uint8]
    """(1, 32)"""
    head: Head = NO_HEAD
    """Head of the row party's ledger, which has debited the release."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"seed": ("uint8", 2)}


# Where there are several column parties, or several row parties


@dataclass(frozen=True)
class JointApproval(Message):
    """The row party's consent to open the masked tables of all column parties, for each of them."""

    release: str
    """Release id, 32 hexadecimal digits."""
    commitment: Bytes32
    """What the row party is bound to by it: the seed of the sums of its masks."""
    sessions: NDArray[np.uint8]
    """(parties, 32) names of its sessions with all column parties, in the order of the study; of
    several row parties (parties, 32 * row parties) those of all of them."""
    tables: NDArray[np.uint8]
    """(parties, 32) SHA-256 of the encoded masked table of each column party."""
    head: Head = NO_HEAD
    """Head of the row party's ledger, which has debited the release."""
    witnessed: Heads = ""
    """Heads that the row party recorded of the receiver's ledger in other sessions."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {
        "sessions": ("uint8", 2),
        "tables": ("uint8", 2),
    }


@dataclass(frozen=True)
class Residues(Message):
    """What a column party decrypted of consecutive nodes, modulo B, for the first column party.

    To everybody else, and to the first column party, they are uniform numbers.
    """

    release: str
    commitment: Bytes32
    """What the sender holds the row party to: all column parties must hold it to the same."""
    first: int
    """Node that comes first."""
    numbers: NDArray[np.uint8]
    """(C, blocks, bytes of B) numbers below B (`Packing.sum_modulus`), little-endian."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"numbers": ("uint8", 3)}


@dataclass(frozen=True)
class Debited(Message):
    """A column party tells the row party that its ledger has debited a release.

    The first column party tells it with what it opened instead.
    """

    release: str
    digest: NDArray[np.uint8]
    """(1, 32) SHA-256 of the encoded masked table that the sender decrypts."""
    head: Head = NO_HEAD
    """Head of the sender's ledger."""
    witnessed: Heads = ""
    """Heads that the sender recorded of the row party's ledger in other sessions."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"digest": ("uint8", 2)}
