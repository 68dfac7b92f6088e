"""The column party: supplies (id, period, slot) as encrypted flags, and owns the Paillier key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.crypto.derive import uniform_words
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import OwnerEncryptor, PrivateKey
from xstat_ray.crypto.tags import in_order, sort_order, with_copy
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.domains import Encoder
from xstat_ray.inputs.ids import to_bytes
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.tables import Chunk, open_table
from xstat_ray.model import periods
from xstat_ray.model.messages import Coefficients, Flags, NoisyTable
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import ColumnSide, Study
from xstat_ray.roles.bounds import keep_per_group
from xstat_ray.roles.dummies import FlagDummies
from xstat_ray.roles.intake import Extract, IntakeCounts, read_excluded, take
from xstat_ray.roles.key_holder import KeyHolder
from xstat_ray.roles.party import Party


class ColumnParty(Party):
    """Airline: knows who boarded what."""

    role = "column"
    other = "row"
    divided = False
    padded = FlagDummies

    def __init__(
        self, study: Study, source: Source | Path | str, *, seed: bytes | None = None
    ) -> None:
        super().__init__(study, source, seed=seed)
        self._key: PrivateKey | None = None
        self._person = np.zeros(0, np.int32)
        self._period = np.zeros(0, np.uint32)
        self._slot = np.zeros(0, np.int64)
        self._starts: NDArray[np.int64] | None = None
        self._sizes: list[int] = []
        self._kept: tuple[int, NDArray[np.uint8], NDArray[np.int64]] | None = None
        self._dummies: FlagDummies | None = None
        self._encryptor: OwnerEncryptor | None = None
        self._encoder = Encoder(study.column.dimensions)
        self._counts = IntakeCounts()

    @property
    def counts(self) -> IntakeCounts:
        """What became of the boardings."""
        return self._counts

    # Key

    def generate_key(self, key_bits: int, constant_time: bool = False) -> bytes:
        """Make the release's Paillier key, to be used in constant time or not.

        Returns the encoded public key.
        """
        self._key = generate(key_bits, constant_time)
        return self._key.public.encode()

    def public_key(self) -> bytes:
        """The encoded public key."""
        return self._private_key.public.encode()

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
        """Read the table, keep F boardings of each person and expand them.

        Returns the number of persons.

        Raises:
            InputError: the table cannot be read, contributes nothing, or has more persons than the
                study's bound.
        """
        study = self._study
        side = self._study.column
        table = open_table(
            self._source.table,
            id=side.id,
            times=list(dict.fromkeys(anchor for anchor, _ in _times(side))),
            values=[d.column for d in side.dimensions],
            skip_damaged=self._source.skip_damaged,
        )
        self._set_aside = table.set_aside
        excluded = frozenset(read_excluded(self._source.excludes, side.id, study).to_pylist())
        taken = take(study, table, side.id, excluded, self._extract)
        if len(taken.ids) > study.bounds.persons:
            raise InputError(
                "the table has more persons than the study's public bound",
                file=str(self._source.table),
                key="study.bounds.persons",
                remedy="Raise the bound (both parties must agree) or take fewer people",
            )
        base, period, inside = taken.columns
        priority = uniform_words(self._seed, "bound of boardings", len(base))
        keep = keep_per_group((taken.person,), study.bounds.boardings, priority)
        self._counts = taken.counts
        self._counts.bound(keep)
        self._counts.persons = len(taken.ids)
        self._exchange.take(to_bytes(pa.array(taken.ids, pa.string())), self._seed)
        self._flag(taken.person[keep], base[keep], period[keep], inside[keep])
        return self.persons

    def _extract(self, chunk: Chunk) -> Extract:
        """Slot without offset (N,), periods (N, W), and which of them lie inside the study's span (N, W)."""
        side = self._study.column
        period = self._study.period
        base = self._encoder.encode(chunk.columns)
        times = _times(side)
        periods_of = np.zeros((len(base), 1), np.uint32)
        inside = np.ones((len(base), 1), bool)
        if times:
            pairs = [
                periods.to_periods(chunk.columns[anchor], period, offset)
                for anchor, offset in times
            ]
            periods_of, inside = (np.stack(parts, axis=1) for parts in zip(*pairs, strict=True))
        in_span: NDArray[np.bool_] = np.any(inside, axis=1)
        return Extract(base >= 0, in_span, (base, periods_of, inside))

    def _flag(
        self,
        person: NDArray[np.int32],
        base: NDArray[np.int32],
        period: NDArray[np.uint32],
        inside: NDArray[np.bool_],
    ) -> None:
        """From boardings (N,) with their periods (N, W) to flags, one for a person in a period, drawn at random."""
        boarding, offset = np.nonzero(inside)
        width = (
            inside.shape[1]
            if self._study.column.windows and self._study.column.offset_dimension
            else 1
        )
        slot = base[boarding].astype(np.int64) * width + (offset if width > 1 else 0)
        who = person[boarding]
        when = period[boarding, offset]
        keep = keep_per_group(
            (who, when), 1, uniform_words(self._seed, "one flag a period", len(who))
        )
        self._person = who[keep]
        self._period = when[keep]
        self._slot = slot[keep]

    def prepare(self, grid: ShardGrid, drawn: bytes | None = None) -> list[int]:
        """Put the flags into the order of the batches of `grid`.

        Args:
            grid: the cut into shards.
            drawn: what `draw_dummies` of the party's first environment gave.

        Returns:
            The number of flags of every batch, dummies included.
        """
        numbers = self._dummies_drawn(grid, drawn)
        self._dummies = FlagDummies(*numbers) if numbers else None
        batch = grid.batch_of(self._period)
        order = np.argsort(batch, kind="stable")
        self._person = self._person[order]
        self._period = self._period[order]
        self._slot = self._slot[order]
        self._starts = np.searchsorted(batch[order], np.arange(len(grid.batches) + 1))
        sizes = np.diff(self._starts)
        if self._dummies is not None:
            sizes = sizes * self._dummies.copies + self._dummies.number()
        self._sizes = sizes.tolist()
        self._kept = None
        return self._sizes

    def emit(self, batch: int, part: int, rows: range, packing: Packing) -> Flags:
        """Flags `rows` of a batch, in the batch's tag order, each an encrypted one-hot over all blocks."""
        if self._starts is None:
            raise ProtocolError("flags were asked for before the batches were prepared")
        tag, slot = self._in_order(batch, self._starts)
        own = slice(rows.start, rows.stop)
        if self._encryptor is None:
            self._encryptor = OwnerEncryptor(self._private_key, sum(self._sizes) * packing.blocks)
        tables = packing.one_hot_table()
        blocks = [self._encryptor.encrypt_indexed([*table, 0], slot[own]) for table in tables]
        return Flags(batch=batch, part=part, tags=tag[own], ciphertexts=np.stack(blocks, axis=1))

    def _in_order(
        self, batch: int, starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Tags and slots of a batch in the order of its tags, kept until another batch is asked for."""
        if self._kept is None or self._kept[0] != batch:
            tag, slot = self._batch(batch, slice(int(starts[batch]), int(starts[batch + 1])))
            order = sort_order(tag, np.zeros(len(tag), np.uint32))
            self._kept = batch, in_order(tag, order), slot[order]
        return self._kept[1:]

    def _batch(self, batch: int, own: slice) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """(M, 16) tags and (M,) slots of a batch with its dummies, which stand in no slot: one behind the last."""
        person = self._person[own]
        period = self._period[own]
        slot = self._slot[own]
        if self._dummies is None:
            return self._tags(person, period), slot
        copies = self._dummies.copies
        number = np.tile(np.arange(copies), len(person))
        tag = self._tags(np.repeat(person, copies), with_copy(np.repeat(period, copies), number))
        dummies = self._dummies.of_batch(self._agreed.tag_key, batch)
        nowhere = np.full(len(dummies), self._study.slots)
        return np.concatenate([tag, dummies]), np.concatenate([np.repeat(slot, copies), nowhere])

    # Release

    def key_holder(self) -> KeyHolder:
        """The key holder, who has this party's key and its ledger."""
        return KeyHolder(self._study, self._private_key, self._source.ledger)

    def seal_coefficients(self, coefficients: Coefficients) -> bytes:
        """Seal noisy coefficients for the row party, who alone can put them into declared order."""
        encoded = coefficients.encode(self._study.digest)
        return self._channel(self.role).seal(encoded, "coefficients")

    def release(self, table: NoisyTable, packing: Packing, part: range) -> bytes:
        """Act as the key holder on the nodes `part` of the noisy table, and seal what comes of it.

        Raises:
            BudgetError: the release is not allowed; nothing was decrypted.
        """
        return self.seal_coefficients(self.key_holder().decrypt(table, packing, part))


def _times(side: ColumnSide) -> list[tuple[str, int]]:
    """The W columns and offsets in seconds from which the periods of a boarding follow.

    None without periods.
    """
    if side.windows:
        return [(window.anchor, offset) for window in side.windows for offset in window.offsets]
    return [(side.time, 0)] if side.time else []
