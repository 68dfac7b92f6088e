"""Several column parties with tables between them that are not opened yet, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.case import Case, study
from xstat_ray.crypto.paillier import PrivateKey, PublicEncryptor
from xstat_ray.inputs.source import Source
from xstat_ray.joint_opening import connect
from xstat_ray.model.messages import MaskedTable, RerandomisedTable
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.protocol import draw_noise
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.row_opening import Masked

NAMES = ("one", "two", "three")
AREAS = ["a", "b", "c"]
NODES = range(3)
VALUES = np.random.default_rng(5).integers(0, 40, (3, 3, 2))
"""What each party counts in these tests."""


def joint_study(parties, noise, areas=AREAS, kinds=("x", "y")):
    """A study of areas by kinds with so many column parties."""
    column = {
        "parties": [{"name": name, "persons": 2000} for name in NAMES[:parties]],
        "dimensions": [{"name": "kind", "values": list(kinds)}],
    }
    return study(noise=noise, areas=areas, privacy={"cap": 2}, column=column, bounds=None)


@dataclass
class JointOpening:
    """All parties with a table for each column party between them, none of it opened."""

    plan: Plan
    keys: list[PrivateKey]
    row: RowParty
    columns: list[ColumnParty]
    ledgers: dict[str, Path]
    values: NDArray[np.int64]
    """(parties, nodes, slots) what each of them counts."""

    @property
    def parts(self) -> list[range]:
        """The nodes in the two parts in which they are masked and opened."""
        return [range(1), range(1, len(self.values[0]))]

    @property
    def first(self) -> ColumnParty:
        return self.columns[0]

    def paid(self, party: str) -> int:
        """Releases that a party's ledger has debited."""
        entries = Ledger(self.ledgers[party]).history(f"small/{party}")
        return sum(entry.kind == "debit" for entry in entries)

    def tables(self) -> list[RerandomisedTable]:
        """Tables as an aggregator makes them, of known values; others each time."""
        packing = self.plan.packing
        zero = packing.pack(np.zeros_like(self.values[0]))
        shape = (len(self.values[0]), packing.blocks, -1)
        made = []
        for key, values in zip(self.keys, self.values, strict=True):
            packed = zip(packing.pack(values), zero, strict=True)
            plain = [(number - offset) % key.public.n for number, offset in packed]
            ciphertexts = PublicEncryptor(key.public, len(plain)).encrypt(plain)
            made.append(RerandomisedTable(ciphertexts=ciphertexts.reshape(shape)))
        return made

    def masks(self) -> list[list[Masked]]:
        """For each column party the row party's masks, in two parts."""
        packing = self.plan.packing
        of_parts = [
            self.row.mask_tables(part, self.row.noise_of(part, packing), packing, 3)
            for part in self.parts
        ]
        return [list(of_key) for of_key in zip(*of_parts, strict=True)]

    def masked(self, tables, masks) -> list[MaskedTable]:
        """The tables with these masks on them."""
        return [
            Aggregator(key.public, 1, 3).put_masks(table, [made.masks for made in of_key])
            for key, table, of_key in zip(self.keys, tables, masks, strict=True)
        ]

    def approve(self, tables, masked, masks) -> list[bytes]:
        receipts = [[made.receipt for made in of_key] for of_key in masks]
        return self.row.approve_tables(tables, masked, receipts)

    def approved(self) -> tuple[list[MaskedTable], list[bytes]]:
        tables = self.tables()
        masks = self.masks()
        masked = self.masked(tables, masks)
        return masked, self.approve(tables, masked, masks)

    def admit(self, masked, approvals) -> list[bytes]:
        packing = self.plan.packing
        return [
            column.admit(table, approval, packing)
            for column, table, approval in zip(self.columns, masked, approvals, strict=True)
        ]

    def residues(self, masked, permits, part) -> list[bytes]:
        others = list(zip(self.columns, masked, permits, strict=True))[1:]
        return [column.open_residues(table, permit, part) for column, table, permit in others]

    def add(self, masked, permits, part, residues) -> bytes:
        noise = self.first.noise_of(part, self.plan.packing)
        return self.first.add_residues(masked[0], permits[0], part, noise, residues)

    def debits(self, permits) -> list[bytes]:
        told = zip(self.columns[1:], permits[1:], strict=True)
        return [column.tell_debit(permit) for column, permit in told]

    def opened(self) -> tuple[list[bytes], list[bytes]]:
        """The approvals, and the parts in which the sum was opened."""
        masked, approvals = self.approved()
        permits = self.admit(masked, approvals)
        parts = [
            self.add(masked, permits, part, self.residues(masked, permits, part))
            for part in self.parts
        ]
        self.row.accept_debits(self.debits(permits))
        return approvals, parts

    def noisy(self) -> list[tuple[int, ...]]:
        """What is opened: the sum with the noise of row party and first column party, sorted."""
        low, high = self.row._noise + self.first._noise
        whole = self.values.sum(0) + low + (high << 32)
        return sorted(map(tuple, whole.tolist()))

    def check(self, approvals, opened, published) -> None:
        """Have every column party check a publication."""
        shown = self.row.show_masks(published.release)
        packing = self.plan.packing
        for column, approval, mask in zip(self.columns, approvals, shown, strict=True):
            seen = opened if column is self.first else self.first.show_sums(column.party, opened)
            column.check_published(approval, seen, mask, published, packing)


def shake_hands(one, other):
    """Lead two ends of a session through the handshake."""
    hellos = one.hello(), other.hello()
    confirmations = one.agree(hellos[1]), other.agree(hellos[0])
    one.confirm(confirmations[1])
    other.confirm(confirmations[0])


def made(tmp_path, keys, parties=3, noise="gaussian"):
    """Make all parties, with handshakes and noise behind them; keys come with their proofs."""
    return opening_of(tmp_path, keys, joint_study(parties, noise), VALUES[:parties])


def opening_of(tmp_path, keys, agreed, values):
    """Make all parties of a study with what each of them counts."""
    case = Case(tmp_path)
    names = NAMES[: len(values)]
    ledgers = {name: tmp_path / f"{name}.sqlite" for name in ("row", *names)}
    row = RowParty(agreed, Source(case.tables["row"], ledger=ledgers["row"]))
    columns = []
    for name, (key, proven) in zip(names, keys, strict=False):
        source = Source(case.tables["column"], ledger=ledgers[name])
        column = ColumnParty(agreed, source, party=name)
        column._key = key
        shake_hands(row.link(name), column)
        row.link(name).accept_key(proven)
        columns.append(column)
    connect(columns)
    plan = make_plan(agreed, key_bits=2048)
    draw_noise(plan, row, columns[0])
    own = [key for key, _ in keys[: len(values)]]
    return JointOpening(plan, own, row, columns, ledgers, values)
