"""No role can take the noise off the published table: not by all that it dealt, drew or was sent.

It has everything that it sent, received, held and computed; the aggregator also whatever lies in the
exchange. Half of the counts of every area are one and half are zero, by lot, so that neither sizes
nor sums tell which. Whoever knew the noise would have the exact counts, and with them the names of
the cells, which the aggregator must not learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tests.adversary.criterion import FALSE_ALARM, Guesses, chance
from tests.adversary.deployments import DEPLOYMENTS, READER, OneProcess, Ran
from tests.adversary.marks import payload_of
from tests.adversary.padded import order_of
from tests.adversary.planted import noise as known
from tests.adversary.planted.sampler import noise_of
from tests.adversary.recorder import Thing
from tests.case import study
from tests.sizes import first, slow, thorough
from xstat_ray.errors import ProtocolError
from xstat_ray.model.study import Role, Study
from xstat_ray.noise import triples
from xstat_ray.noise.bits import Attempt, Stream, bits_of
from xstat_ray.noise.messages import Opening
from xstat_ray.noise.plan import joint_noise
from xstat_ray.noise.sampler import LIMB_BITS, rounds
from xstat_ray.privacy.design import Design

AREAS = tuple(f"a{number:02d}" for number in range(16))
KINDS = tuple(f"k{number}" for number in range(6))
SHAPE = (len(AREAS), len(KINDS))
EPSILON = 0.1
ROLES: tuple[Role, Role] = ("row", "column")
Noise = NDArray[np.int64]


def make_study(kind: str) -> Study:
    return study(
        noise=kind,
        areas=AREAS,
        column={"dimensions": [{"name": "kind", "values": list(KINDS)}]},
        privacy={"epsilon": EPSILON, "mechanism": "flat", "delta": "1e-6"},
    )


def lots(seed: int) -> Noise:
    """Counts (areas, kinds): one in half of the kinds of every area."""
    draw = np.random.default_rng(seed)
    half = [1] * (len(KINDS) // 2) + [0] * (len(KINDS) // 2)
    return np.array([draw.permutation(half) for _ in AREAS])


def tables_of(counts: Noise) -> Any:
    area, kind = np.nonzero(counts)
    ids = [f"p{number}" for number in range(len(area))]
    return {
        "row": {"id": ids, "area": [AREAS[place] for place in area.tolist()]},
        "column": {"id": ids, "kind": [KINDS[place] for place in kind.tolist()]},
    }


def candidates(things: Sequence[Thing], declared: Study) -> Iterator[tuple[str, Noise]]:
    """Everything that a role could take for the noise, by blinded cell and slot."""
    yield "nothing", np.zeros(SHAPE, np.int64)
    for thing in things:
        value = thing.value
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
            continue
        if value.size and value.size % (SHAPE[0] * SHAPE[1]) == 0 and value.dtype.itemsize > 1:
            for place, part in enumerate(value.reshape(-1, *SHAPE)):
                yield f"{thing.name} {place}", part.astype(np.int64)
            if value.shape == (2, *SHAPE):
                yield f"{thing.name} as limbs", value[0] + (value[1] << LIMB_BITS)
    yield from openings_undone(things, declared)


def openings_undone(things: Sequence[Thing], declared: Study) -> Iterator[tuple[str, Noise]]:
    """The noise, by the openings of both parties and the bits that were dealt to them."""
    plan = joint_noise(Design.of_study(declared), declared.slots)
    found = {
        (opening.round, opening.masked.tobytes()): opening.masked
        for thing in things
        if isinstance(thing.value, bytes)
        for opening in openings(payload_of(thing.value), declared)
    }
    seeds = [thing.value for thing in things if thing.name.endswith("Dealer.export_seed()")]
    if plan is None or not found or not seeds:
        return
    (part,) = plan.parts
    last = rounds(part.coins.bits) - 1
    masked = [words for (number, _), words in found.items() if number == last]
    sessions = [thing.value for thing in things if thing.name.endswith("attempt.session")]
    streams = [
        Stream(seed, Attempt(sessions[0], 0), 0, triples.DEALT_BITS)
        for seed in dict.fromkeys(seeds)
    ]
    words = [stream.words(2 * part.coins.digits, part.words) for stream in streams]
    opened, dealt = (
        np.array([bits_of(row, part.coefficients) for row in rows.reshape(-1, part.words)], bool)
        for rows in (masked[0] ^ masked[1], words[0] ^ words[1])
    )
    yield "openings and what was dealt", noise_of(opened, dealt).reshape(SHAPE)


def openings(message: bytes, declared: Study) -> list[Opening]:
    """The opening in a message; none if there is none, or it is sealed."""
    try:
        return [Opening.decode(message, declared.digest)]
    except ProtocolError:
        return []


@dataclass(frozen=True)
class Undone:
    """The best that the aggregator can do."""

    name: str
    counts: Guesses
    """Counts of which it knows whether they are one."""
    names: int
    """Cells whose name it has."""
    searched: int

    def beaten(self) -> tuple[bool, bool]:
        """Whether it knows more counts, or more names, than it may.

        An area may have the one in another kind: two counts differ, each by one. Of a permutation
        that tells nothing k places or more are right with a probability of 1/k! at most.
        """
        of_names = self.searched / factorial(self.names)
        return self.counts.beat(chance(2 * EPSILON, 1e-5), self.searched), of_names < FALSE_ALARM


def undone(things: Sequence[Thing], declared: Study, ran: Ran, counts: Noise) -> Undone:
    """Take everything off the published table that could be the noise."""
    table = pq.read_table(ran.out / "statistics.parquet")
    noisy = table["noisy"].to_numpy().reshape(SHAPE)
    order = order_of(ran.record)
    tried = {noise.tobytes(): (name, noise) for name, noise in candidates(things, declared)}
    found = [(name, *fitted(noisy, noise, order)) for name, noise in tried.values()]
    name, guessed, _ = max(found, key=lambda one: int((one[1] == counts).sum()))
    right = int((guessed == counts).sum())
    return Undone(name, Guesses(right, counts.size), max(one[2] for one in found), len(found))


def fitted(noisy: Noise, noise: Noise, order: NDArray[Any]) -> tuple[Noise, int]:
    """Take noise off by the order of cells that fits best, which leaves zeros and ones.

    Returns:
        What is taken for the counts, and how many cells stand in their places.
    """
    left = noisy[:, None, :] - noise[None, :, :]
    places = linear_sum_assignment(np.log1p(abs(left - 0.5)).sum(axis=2))[1]
    guessed: Noise = (left[np.arange(len(AREAS)), places] > 0).astype(np.int64)
    return guessed, int((places == order).sum())


def attack(deployment: OneProcess, folder: Path, kind: str, *roles: str) -> Undone:
    """Run a study and let a role take the noise off, by default the aggregator."""
    ran = deployment.run(make_study(kind), tables_of(lots(3)), folder)
    return attacked(deployment, ran, kind, *roles)


def attacked(deployment: OneProcess, ran: Ran, kind: str, *roles: str) -> Undone:
    """Let a role take the noise off what was run."""
    things = ran.of(*roles) if roles else ran.of(*deployment.counters, READER)
    return undone(things, make_study(kind), ran, lots(3))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """Runs a study in a deployment, of which all attackers may have the record."""
    return cache(
        lambda deployment, kind: deployment.run(
            make_study(kind), tables_of(lots(3)), tmp_path_factory.mktemp("honest")
        )
    )


@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
@pytest.mark.parametrize("kind", ["laplace", pytest.param("gaussian", marks=slow)])
def test_the_noise_is_not_taken_off(deployment, kind, honest):
    found = attacked(deployment, honest(deployment, kind), kind)
    assert found.beaten() == (False, False), found


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
@pytest.mark.parametrize("kind", ["laplace", pytest.param("gaussian", marks=slow)])
@pytest.mark.parametrize("role", first(1, ROLES))
def test_nor_by_a_partys_share(role, kind, deployment, honest):
    """Which cell is which the parties may know: the row party from the start."""
    found = attacked(deployment, honest(deployment, kind), kind, role)
    assert not found.beaten()[0], found


@thorough
@pytest.mark.parametrize("kind", ["laplace", pytest.param("gaussian", marks=slow)])
@pytest.mark.parametrize("role", ROLES)
def test_a_party_whose_share_is_all_of_it_takes_it_off(role, kind, tmp_path, monkeypatch):
    known.all_of_one_party(monkeypatch, role)
    found = attack(DEPLOYMENTS[0], tmp_path, kind, role)
    assert found.counts.right == SHAPE[0] * SHAPE[1] and found.beaten()[0], found


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
@pytest.mark.parametrize("kind", ["laplace", pytest.param("gaussian", marks=slow)])
def test_noise_that_is_all_the_aggregators_is_taken_off(deployment, kind, tmp_path, monkeypatch):
    known.all_of_the_aggregator(monkeypatch)
    found = attack(deployment, tmp_path, kind)
    assert found.counts.right == SHAPE[0] * SHAPE[1], found
    assert found.names == len(AREAS) and found.beaten() == (True, True), found


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
def test_a_dealer_that_reads_the_openings_takes_it_off(deployment, tmp_path, monkeypatch):
    known.not_sealed(monkeypatch)
    found = attack(deployment, tmp_path, "laplace")
    assert found.name.startswith("openings")
    assert found.beaten() == (True, True) and found.names == len(AREAS), found
