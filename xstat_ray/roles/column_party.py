"""The column party: supplies (id, period, slot) as encrypted flags, and owns the Paillier key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.bounds import keep_per_group
from xstat_ray.crypto.derive import uniform_words
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey
from xstat_ray.crypto.tags import sort_order
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs import domains, periods
from xstat_ray.inputs.tables import Batch
from xstat_ray.messages import Flags, NoisyTable
from xstat_ray.roles.intake import IntakeCounts, People, check_usable, read_excluded, read_rows
from xstat_ray.roles.key_holder import KeyHolder
from xstat_ray.roles.party import Party
from xstat_ray.shards import ShardGrid
from xstat_ray.study import ColumnSide, Study


class ColumnParty(Party):
    """Airline: knows who boarded what."""

    role, other = "column", "row"

    def __init__(self, study: Study, table: Path | str, exclude: Path | str | None = None) -> None:
        super().__init__(study, table, exclude)
        self._key: PrivateKey | None = None
        self._person = np.zeros(0, np.int32)
        self._period = np.zeros(0, np.uint32)
        self._slot = np.zeros(0, np.int64)
        self._starts: NDArray[np.int64] | None = None
        self._encryptor: OwnerEncryptor | None = None

    # Key

    def generate_key(self, key_bits: int) -> bytes:
        """Make the release's Paillier key; returns the encoded public key."""
        self._key = generate(key_bits)
        return self._key.public.encode()

    @property
    def _private_key(self) -> PrivateKey:
        if self._key is None:
            raise ProtocolError("the column party has no key yet")
        return self._key

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"paillier": self._private_key.export_bytes()}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._key = PrivateKey.from_bytes(secrets["paillier"])

    # De-identification

    def intake(self) -> int:
        """Read the table, keep F boardings of each person and expand them; returns the number of persons.

        Raises:
            InputError: the table cannot be read, contributes nothing, or has more persons than the study's bound.
        """
        study, side = self._study, self._study.column
        people = People(study, read_excluded(self._exclude, side.id, study))
        counts = IntakeCounts()
        taken: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint32], NDArray[np.bool_]]] = []
        anchors = [w.anchor for w in side.windows] or ([side.time] if side.time else [])
        for batch in read_rows(
            self._table,
            id_column=side.id,
            times=list(dict.fromkeys(anchors)),
            numbers=[],
            values=[d.column for d in side.dimensions],
        ):
            base = domains.encode(side.dimensions, batch.columns).astype(np.int64)
            period, inside = _expand(side, study, batch, len(base))
            person, keep = people.number(batch.columns[side.id], (base >= 0) & inside.any(axis=1), counts)
            counts.rows += len(base)
            counts.outside_domain += int((base < 0).sum())
            counts.outside_span += int((~inside.any(axis=1) & (base >= 0)).sum())
            counts.kept += int(keep.sum())
            taken.append((person[keep], base[keep], period[keep], inside[keep]))
        check_usable(counts, self._table, side.id)
        if len(people) > study.bounds.persons:
            raise InputError(
                "the table has more persons than the study's public bound",
                file=str(self._table),
                key="study.bounds.persons",
                remedy="Raise the bound (both parties must agree) or take fewer people",
            )
        person, base, period, inside = (np.concatenate(columns) for columns in zip(*taken, strict=True))
        keep = keep_per_group(
            (person,), study.bounds.boardings, uniform_words(self._seed, "bound of boardings", len(person))
        )
        counts.over_bound = int((~keep).sum())
        counts.kept -= counts.over_bound
        self.counts = counts
        place = self._take_persons(people.ids)
        self._flag(place[person[keep]].astype(np.int32), base[keep], period[keep], inside[keep])
        return self.persons

    def _flag(
        self,
        person: NDArray[np.int32],
        base: NDArray[np.int64],
        period: NDArray[np.uint32],
        inside: NDArray[np.bool_],
    ) -> None:
        """From boardings (N,) with their periods (N, W) to flags, one for a person in a period, drawn at random."""
        boarding, offset = np.nonzero(inside)
        width = inside.shape[1] if self._study.column.windows and self._study.column.offset_dimension else 1
        slot = base[boarding] * width + (offset if width > 1 else 0)
        who, when = person[boarding], period[boarding, offset]
        keep = keep_per_group((who, when), 1, uniform_words(self._seed, "one flag a period", len(who)))
        self._person, self._period, self._slot = who[keep], when[keep], slot[keep]

    def prepare(self, grid: ShardGrid) -> list[int]:
        """Put the flags into the order of the batches of `grid`; returns the number of flags of every batch."""
        batch = grid.batch_of(self._period)
        order = np.argsort(batch, kind="stable")
        self._person, self._period, self._slot = self._person[order], self._period[order], self._slot[order]
        self._starts = np.searchsorted(batch[order], np.arange(len(grid.batches) + 1))
        sizes: list[int] = np.diff(self._starts).tolist()
        return sizes

    def emit(self, batch: int, part: int, rows: range, packing: Packing) -> Flags:
        """Flags `rows` of a batch, in the batch's tag order, each an encrypted one-hot over all blocks."""
        if self._starts is None:
            raise ProtocolError("flags were asked for before the batches were prepared")
        own = slice(int(self._starts[batch]), int(self._starts[batch + 1]))
        tag = self._tags(self._person[own], self._period[own])
        order = sort_order(tag, np.zeros(len(tag), np.uint32))[rows.start : rows.stop]
        slots = self._slot[own][order]
        if self._encryptor is None:
            self._encryptor = OwnerEncryptor(self._private_key, len(self._slot) * packing.blocks)
        tables = packing.one_hot_table()
        blocks = [self._encryptor.encrypt_indexed(table, slots) for table in tables]
        return Flags(batch=batch, part=part, tags=tag[order], ciphertexts=np.stack(blocks, axis=1))

    # Release

    def release(self, ledger: Path, table: NoisyTable, packing: Packing, part: range) -> bytes:
        """Act as the key holder on the cells `part` of the noisy table; the result is sealed for the row party.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted.
        """
        coefficients = KeyHolder(self._study, self._private_key, ledger).decrypt(table, packing, part)
        return self._channel(self.role).seal(coefficients.encode(self._study.digest), "coefficients")


def _expand(side: ColumnSide, study: Study, batch: Batch, size: int) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """The periods (size, W) of every boarding, and which of them lie inside the study's span."""
    at: Sequence[tuple[str, int]] = [(w.anchor, offset) for w in side.windows for offset in w.offsets]
    if not at and side.time:
        at = [(side.time, 0)]
    if not at:
        return np.zeros((size, 1), np.uint32), np.ones((size, 1), bool)
    pairs = [periods.to_periods(batch.columns[anchor], study.period, offset) for anchor, offset in at]
    return np.stack([p for p, _ in pairs], axis=1), np.stack([i for _, i in pairs], axis=1)
