"""Dummies that do not hide a person: left out of a shard, or the same in two views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.adversary.planted.patches import replace_everywhere
from xstat_ray.crypto.tags import dummy_tags, tags
from xstat_ray.model.messages import Rows
from xstat_ray.model.shards import Shard
from xstat_ray.privacy.padding import Padding
from xstat_ray.roles import RowParty
from xstat_ray.roles.blinding import Blinding
from xstat_ray.roles.dummies import FlagDummies, RowDummies


def left_out_of_the_first_shard(patch: pytest.MonkeyPatch) -> None:
    """Send no dummies among the rows of shard 0."""
    honest = RowDummies.of_shard

    def of_shard(
        self: RowDummies, keys: Sequence[bytes], shard: Shard
    ) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint32]]:
        of_keys, cell = honest(self, keys, shard)
        if shard.number == 0:
            return [tag[:0] for tag in of_keys], cell[:0]
        return of_keys, cell

    patch.setattr(RowDummies, "of_shard", of_shard)


def as_many_flags_in_every_batch(patch: pytest.MonkeyPatch) -> None:
    """Let every batch have as many dummy flags that are not met as the first has."""
    honest = FlagDummies.draw

    def draw(padding: Padding) -> NDArray[np.int64]:
        drawn = honest(padding)
        drawn[:] = drawn[:, :1]
        return drawn

    patch.setattr(FlagDummies, "draw", staticmethod(draw))


def as_many_flags_for_every_row_party(patch: pytest.MonkeyPatch) -> None:
    """Send further row parties as many dummy flags that are not met as the first gets."""
    honest = FlagDummies.draw

    def draw(padding: Padding) -> NDArray[np.int64]:
        drawn = honest(padding)
        drawn[:] = drawn[0]
        return drawn

    patch.setattr(FlagDummies, "draw", staticmethod(draw))


def none_among_the_rows_of_further_row_parties(patch: pytest.MonkeyPatch) -> None:
    """Send dummies among the rows of the first row party alone."""
    honest = RowParty.emit

    def emit(self: RowParty, shard: Shard) -> Rows:
        dummies = self._dummies
        if dummies is not None and self._row_place:
            self._dummies = RowDummies(dummies._padding, np.zeros_like(dummies._drawn))
        return honest(self, shard)

    patch.setattr(RowParty, "emit", emit)


def from_the_same_seed(patch: pytest.MonkeyPatch) -> None:
    """Draw the same numbers of dummies, and the same order of cells, in every release."""
    for kind in (RowDummies, FlagDummies):
        patch.setattr(kind, "draw", staticmethod(_kept(kind.draw)))
    honest = Blinding.__init__
    patch.setattr(Blinding, "__init__", lambda self, tree, _: honest(self, tree, bytes(32)))


def _kept(honest: Callable[[Padding], NDArray[np.int64]]) -> Callable[[Padding], NDArray[np.int64]]:
    kept: dict[str, NDArray[np.int64]] = {}

    def draw(padding: Padding) -> NDArray[np.int64]:
        return kept.setdefault(repr(padding), honest(padding))

    return draw


def under_the_same_tag_key(patch: pytest.MonkeyPatch) -> None:
    """Make the tags of all views under one key; person keys are new in every exchange."""
    for honest in (tags, dummy_tags):
        replace_everywhere(patch, honest, _with_one_key(honest))


def _with_one_key(honest: Callable[..., NDArray[np.uint8]]) -> Callable[..., NDArray[np.uint8]]:
    return lambda key, *rest: honest(bytes(len(key)), *rest)


def none_for_rows_of_two_parties(patch: pytest.MonkeyPatch) -> None:
    """Send no rows that meet dummy flags of several column parties."""
    honest = RowDummies.draw

    def draw(padding: Padding) -> NDArray[np.int64]:
        drawn = honest(padding)
        drawn[padding.meets.sum(axis=1) > 1] = 0
        return drawn

    patch.setattr(RowDummies, "draw", staticmethod(draw))


def none_for_rows_that_meet_flags(patch: pytest.MonkeyPatch) -> None:
    """Send dummies that meet nothing alone."""
    honest = RowDummies.draw

    def draw(padding: Padding) -> NDArray[np.int64]:
        drawn = honest(padding)
        drawn[padding.meets.any(axis=1)] = 0
        return drawn

    patch.setattr(RowDummies, "draw", staticmethod(draw))
