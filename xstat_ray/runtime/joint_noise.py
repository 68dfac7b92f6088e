"""The draw of the noise in one cluster: the driver deals, and carries what it cannot read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from xstat_ray.crypto.channel import hand_over
from xstat_ray.model.study import Role
from xstat_ray.noise.bits import SEED_BYTES, Attempt
from xstat_ray.noise.dealing import Dealer
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import RowParty
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.runtime.executor import ROLES, Executor, Instance, Ref
from xstat_ray.runtime.progress import Progress


def draw_noise(executor: Executor, plan: Plan, progress: Progress) -> None:
    """Lead the parties through the draw of the noise, so that each has a share of it.

    Each party's share is in its private folder, where it has one, before this returns.
    """
    noise = plan.noise
    parts = () if noise is None else noise.parts
    sharers = [executor.row[0], executor.column[0]]
    with progress.stage("noise", len(parts)) as stage:
        if noise is not None:
            session = executor.get(executor.row[0].call(RowParty.session))
            attempt = Attempt(bytes.fromhex(session), 0)
            dealer = Dealer(noise, attempt, os.urandom(SEED_BYTES))
            keys = _deal_seeds(executor, sharers, dealer)
            for part in parts:
                deal = dealer.deal(part.number).encode(plan.study.digest)
                sealed = hand_over(keys["column"], {"deal": deal})
                _draw_part(executor, sharers, part.number, sealed)
                stage.advance()
        executor.get_all([first.call(NoiseShare.keep_noise) for first in sharers])


def _deal_seeds(
    executor: Executor, sharers: Sequence[Instance[NoiseShare]], dealer: Dealer
) -> Mapping[Role, bytes]:
    """Deal the seeds, each sealed to its party; returns the keys to which they are sealed."""
    keys: dict[Role, bytes] = {}
    for role, first in zip(ROLES, sharers, strict=True):
        keys[role] = executor.get(first.call(NoiseShare.dealing_key))
        sealed = hand_over(keys[role], {"seed": dealer.export_seed(role)})
        executor.get(first.call(NoiseShare.accept_deal, sealed))
    return keys


def _draw_part(
    executor: Executor, sharers: Sequence[Instance[NoiseShare]], number: int, deal: bytes
) -> None:
    """Carry the openings of one part, round after round."""
    row, column = sharers
    of_row: Ref[Any] = row.call(NoiseShare.begin_noise, number)
    of_column: Ref[Any] = column.call(NoiseShare.begin_noise, number, deal)
    while executor.get(of_row) is not None:
        of_row, of_column = (
            row.call(NoiseShare.advance_noise, number, of_column),
            column.call(NoiseShare.advance_noise, number, of_row),
        )
    executor.get(of_column)
