"""The column party: supplies (id, period, slot) as encrypted flags, and owns the Paillier key."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.crypto.derive import halves, keyed_text_words
from xstat_ray.crypto.oprf import item_hashes
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import OwnerEncryptor
from xstat_ray.crypto.tags import in_order, sort_order, with_copy
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.domains import Encoder
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.tables import Chunk, open_table
from xstat_ray.inputs.text_index import to_bytes
from xstat_ray.model import periods
from xstat_ray.model.messages import Flags
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import ColumnSide, Study
from xstat_ray.roles.boarding_bounds import bound_boardings
from xstat_ray.roles.boardings import Boardings, PlainFlags
from xstat_ray.roles.bounds import draw_by_content, keep_per_group
from xstat_ray.roles.centred_values import CentredValues, read_values
from xstat_ray.roles.dummies import FlagDummies
from xstat_ray.roles.intake import Extract, Taken, read_excluded, take
from xstat_ray.roles.joint_column_opening import JointColumnOpening
from xstat_ray.roles.link import Link
from xstat_ray.roles.seat import Seat

_NOWHERE = (1 << 32) - 1
"""Stands for a period outside the study."""


class ColumnParty(JointColumnOpening):
    """Knows who boarded what and when: an airline, say. Makes the key and decrypts."""

    role = "column"
    other = "row"
    padded = FlagDummies

    def __init__(
        self,
        study: Study,
        source: Source | Path | str,
        *,
        seed: bytes | None = None,
        party: str | None = None,
    ) -> None:
        """Take the study and remember where the table lies; see `RowParty`.

        Raises:
            ProtocolError: the study names no such party, or several and none is given.
        """
        super().__init__(Seat.of(study, source, seed, party=party))
        self._person = np.zeros(0, np.int32)
        self._period = np.zeros(0, np.uint32)
        self._slot = np.zeros(0, np.int64)
        self._measured = np.zeros((0, len(study.column.measures)), np.int64)
        self._starts: NDArray[np.int64] | None = None
        self._kept: tuple[tuple[str, int], PlainFlags] | None = None
        self._dummies: FlagDummies | None = None
        self._encryptor: OwnerEncryptor | None = None
        self._encoder = Encoder(study.column.dimensions)

    # De-identification

    def intake(self) -> None:
        """Read the table, bound the boardings of each person, and turn them into flags.

        Raises:
            InputError: the table cannot be read, contributes nothing, is not that of an earlier
                step, or has more persons than the study's bound.
        """
        study = self._study
        side = self._study.column
        digests = self._start_reading()
        table = open_table(
            self._source.files,
            id=side.id,
            times=list(dict.fromkeys(anchor for anchor, _ in _times(side))),
            numbers=list(dict.fromkeys(measure.column for measure in side.measures)),
            values=[d.column for d in side.dimensions],
            skip_damaged=self._source.skip_damaged,
            digests=digests.of("table"),
            options=self._source.options,
        )
        self._record.set_aside = table.set_aside
        excluded = read_excluded(self._source, side.id, study, "column", digests)
        self._record.lists = excluded.lists
        left_out = frozenset(excluded.ids.to_pylist())
        taken = take(study, table, side.id, left_out, self._extract, encoder=self._encoder)
        self._record.end_survey()
        self._check_persons(len(taken.ids), table.path)
        taken.counts.persons = len(taken.ids)
        self._record.taken = taken.counts
        self._record.dropped = taken.dropped
        ids = to_bytes(pa.array(taken.ids, pa.string()))
        items = item_hashes(self._agreed.salt, ids)
        contents = sha256(items.tobytes()).digest()
        self._exchange.take(items, contents)
        for link in self._further.values():
            link.take_persons(ids, contents)
        self._bound(taken, keyed_text_words(self._seed, "persons", ids)[taken.person])

    def _check_persons(self, persons: int, path: str) -> None:
        """Refuse a table with more persons than the study's public bound."""
        if persons > self._terms.persons:
            parties = self._study.column.parties
            place = "bounds"
            if parties:
                place = f"column.parties[{parties.index(self._terms)}]"
            raise InputError(
                "the table has more persons than the study's public bound",
                file=path,
                key=f"study.{place}.persons",
                remedy="Raise the bound (both parties must agree) or take fewer people",
            )

    def _bound(self, taken: Taken, who: NDArray[np.uint64]) -> None:
        """Keep q boardings of each person in a column and F of them, and turn these into flags.

        Args:
            taken: N usable boardings.
            who: (N,) words that stand for the persons.
        """
        base, period, inside, *read = taken.columns
        values = CentredValues(*read)
        measures = self._study.column.measures
        content = (base, *np.where(inside, period, _NOWHERE).T, *values.words(measures))
        priority = draw_by_content(self._seed, "bound of boardings", *halves(who), *content)
        within, keep = bound_boardings(taken.person, base, self._terms, priority)
        boardings = Boardings(taken.person, who, base, period, inside, values)
        flagged = self._flag(boardings.take(keep))
        kept = np.flatnonzero(keep)[flagged]
        self._record.values = values.take(kept).counts(measures)
        taken.counts.bound(
            over_column_bound=int((~within).sum()),
            over_bound=int((within & ~keep).sum()),
            without_flag=int((~flagged).sum()),
        )

    def _extract(self, chunk: Chunk) -> Extract:
        """Read the N boardings of a chunk.

        The columns are: (N,) slot without the offset; (N, W) periods; (N, W) whether each of them
        lies in the study; and the `CentredValues`.
        """
        side = self._study.column
        period = self._study.period
        base = self._encoder.encode_chunk(chunk)
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
        numbers = {
            measure.column: chunk.columns[measure.column].to_numpy(zero_copy_only=False)
            for measure in side.measures
        }
        values = read_values(side.measures, numbers, len(base))
        return Extract(base >= 0, in_span, (base, periods_of, inside, *values))

    def _flag(self, boardings: Boardings) -> NDArray[np.bool_]:
        """Turn boardings into flags; of several for a person in a period one is drawn at random.

        Returns:
            (N,) whether a boarding has a flag.
        """
        boarding, offset = np.nonzero(boardings.inside)
        width = (
            boardings.inside.shape[1]
            if self._study.column.windows and self._study.column.offset_dimension
            else 1
        )
        base = boardings.base[boarding].astype(np.int64)
        slot = base * width + (offset if width > 1 else 0)
        owner = boardings.person[boarding]
        when = boardings.period[boarding, offset]
        values = boardings.values.take(boarding)
        content = (when, slot, *values.words(self._study.column.measures))
        priority = draw_by_content(
            self._seed, "one flag a period", *halves(boardings.who[boarding]), *content
        )
        keep = keep_per_group((owner, when), 1, priority)
        self._person = owner[keep]
        self._period = when[keep]
        self._slot = slot[keep]
        self._measured = values.values[keep]
        flagged = np.zeros(len(boardings.person), bool)
        flagged[boarding[keep]] = True
        return flagged

    def prepare(self, grid: ShardGrid, drawn: bytes | None = None) -> list[int]:
        """Put the flags into the order of the batches.

        Args:
            grid: the cut into shards.
            drawn: what `draw_dummies` of the party's first environment gave.

        Returns:
            What `sizes_for` the first row party gives.
        """
        numbers = self._dummies_drawn(grid, drawn)
        self._dummies = FlagDummies(*numbers) if numbers else None
        batch = grid.batch_of(self._period)
        order = np.argsort(batch, kind="stable")
        self._person = self._person[order]
        self._period = self._period[order]
        self._slot = self._slot[order]
        self._measured = self._measured[order]
        self._starts = np.searchsorted(batch[order], np.arange(len(grid.batches) + 1))
        self._kept = None
        return self.sizes_for(self.row_party)

    def sizes_for(self, row_party: str) -> list[int]:
        """Count the flags of every batch for the rows of a row party, dummies included.

        Raises:
            ProtocolError: `prepare` has not been called, or the study names no such party.
        """
        if self._starts is None:
            raise ProtocolError("flags were asked for before the batches were prepared")
        sizes = np.diff(self._starts)
        if self._dummies is not None:
            place = self._place_of(self.link(row_party))
            sizes = sizes * self._dummies.copies(place) + self._dummies.number(place)
        return [int(size) for size in sizes]

    def _place_of(self, link: Link) -> int:
        """Place in the study of the row party at the other end of a link."""
        return self._study.row_parties.index(link._row_terms)

    def emit(
        self, batch: int, part: int, rows: range, packing: Packing, row_party: str | None = None
    ) -> Flags:
        """Return a part of the flags of a batch, each an encrypted one-hot over all blocks.

        A repeat gives the same tags and slots, encrypted anew. So do the flags for each row party,
        with other tags: nothing but their number tells that they are of the same people.

        Args:
            batch: number of the batch.
            part: number of the part.
            rows: places of its flags, in the order of the batch's tags.
            packing: how slots are packed into ciphertexts.
            row_party: name of the row party for whose rows they are; by default the first.

        Raises:
            ProtocolError: `prepare` or `generate_key` has not been called.
        """
        if self._starts is None:
            raise ProtocolError("flags were asked for before the batches were prepared")
        link = self if row_party is None else self.link(row_party)
        flags = self._in_order(batch, self._starts, link).take(slice(rows.start, rows.stop))
        if self._encryptor is None:
            planned = sum(sum(self.sizes_for(one.row_party)) for one in self.links)
            self._encryptor = OwnerEncryptor(self._private_key, planned * packing.blocks)
        encoded = packing.encode_flags(flags.slot, flags.values, self._public.n)
        blocks = [self._encryptor.encrypt_indexed(table, index) for table, index in encoded]
        return Flags(
            view=link.view(),
            batch=batch,
            part=part,
            tags=flags.tag,
            ciphertexts=np.stack(blocks, axis=1),
        )

    def _in_order(
        self, batch: int, starts: NDArray[np.int64], link: Link | None = None
    ) -> PlainFlags:
        """Return the flags of a batch in the order of its tags; the last batch is kept."""
        link = link or self
        which = link.row_party, batch
        if self._kept is None or self._kept[0] != which:
            section = slice(int(starts[batch]), int(starts[batch + 1]))
            flags = self._with_dummies(batch, section, link)
            order = sort_order(flags.tag, np.zeros(len(flags.tag), np.uint32))
            in_tag_order = in_order(flags.tag, order)
            self._kept = which, PlainFlags(in_tag_order, flags.slot[order], flags.values[order])
        return self._kept[1]

    def _with_dummies(self, batch: int, flags: slice, link: Link | None = None) -> PlainFlags:
        """Return the M flags of a batch, its dummies included.

        Dummies have the number behind the last slot, which encrypts zero.
        """
        person = self._person[flags]
        period = self._period[flags]
        slot = self._slot[flags]
        values = self._measured[flags]
        link = link or self
        if self._dummies is None:
            return PlainFlags(link.tags(person, period), slot, values)
        place = self._place_of(link)
        copies = self._dummies.copies(place)
        number = np.tile(np.arange(copies), len(person))
        tag = link.tags(np.repeat(person, copies), with_copy(np.repeat(period, copies), number))
        dummies = self._dummies.of_batch(link._agreed.tag_key, batch, place)
        nowhere = np.full(len(dummies), self._study.slots)
        nothing = np.zeros((len(dummies), values.shape[1]), np.int64)
        return PlainFlags(
            np.concatenate([tag, dummies]),
            np.concatenate([np.repeat(slot, copies), nowhere]),
            np.concatenate([np.repeat(values, copies, axis=0), nothing]),
        )


def _times(side: ColumnSide) -> list[tuple[str, int]]:
    """List the W columns with offsets in seconds from which the periods of a boarding follow."""
    if side.windows:
        return [(window.anchor, offset) for window in side.windows for offset in window.offsets]
    return [(side.time, 0)] if side.time else []
