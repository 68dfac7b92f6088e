"""A run on machines that are not at hand: the driver's schedule, with times in place of the work.

The calls are those of `runtime.driver`, `emission` and `reduction`: the driver makes one call after
the other, an environment takes its calls in order and works at each with all of its cores, and a
core of the pool has one task at a time. Messages take no time on the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

from xstat_ray.roles.id_exchange import BIN_PERSONS
from xstat_ray.roles.join import FAN_IN
from xstat_ray.runtime.emission import Stretches


@dataclass(frozen=True)
class Costs:
    """Seconds of one core for everything that a run does."""

    call: float
    """The driver makes a call, and takes its result."""
    survey: float
    """The id of a row is read and counted, by one environment of the row party."""
    merge: float
    """A person of two surveys is sealed, opened and put into one; nothing divides this."""
    know: float
    """An environment is told of a person of the row party by the others, and of the key."""
    hash: float
    """A person of the row party is hashed, by one of its environments."""
    row: float
    """A row is read, bounded, blinded, tagged, put in order and encoded, by one of them."""
    flag: float
    """The column party encrypts a flag."""
    match: float
    add: float
    """`FAN_IN` partial results become one."""
    person: float
    """A person of either party takes part in the ID exchange."""
    serial: float
    """What one process does by itself: Ray's start, the noise, the table's randomness."""


@dataclass(frozen=True)
class Work:
    """What is counted, in batches of one shard each, all of one size."""

    batches: int
    rows: int
    flags: int
    matches: int
    persons: int
    """Of both parties."""
    row_persons: int
    """Of the row party."""
    flags_a_call: int


@dataclass(frozen=True)
class Layout:
    """Cores by what they do, in domains that share none."""

    row_environments: int
    cores_a_row_environment: int
    column_cores: int
    """Each is an environment, as encryption fills one core as well as several."""
    pool_cores: int

    @property
    def cores(self) -> int:
        """All of them."""
        return (
            self.row_environments * self.cores_a_row_environment
            + self.column_cores
            + self.pool_cores
        )


@dataclass(frozen=True)
class Outcome:
    """How long a run takes, and who works how much of the time that batches are joined."""

    seconds: float
    aggregate: float
    """Seconds in which batches are joined."""
    busy: dict[str, float]
    """Share of that time in which the driver, and on average an environment of the row party, a
    core of the column party and a core of the pool work."""


class _Server:
    """Takes calls in order, one at a time."""

    def __init__(self) -> None:
        self.free = 0.0
        self.worked = 0.0

    def serve(self, ready: float, seconds: float) -> float:
        """Take a call that is ready at a time; returns when it ends."""
        self.free = max(self.free, ready) + seconds
        self.worked += seconds
        return self.free


class _Pool:
    """Cores that take tasks; a task takes the core that is free first."""

    def __init__(self, cores: int) -> None:
        self._free = [0.0] * cores
        self.worked = 0.0

    def serve(self, ready: float, seconds: float) -> float:
        end = max(self._free[0], ready) + seconds
        heapreplace(self._free, end)
        self.worked += seconds
        return end


def simulate(costs: Costs, work: Work, layout: Layout, in_flight: int) -> Outcome:
    """Simulate a run.

    Args:
        costs: what its parts cost.
        work: what is counted.
        layout: on which cores.
        in_flight: most joins and additions that run at a time.
    """
    stage = _Aggregate(costs, work, layout)
    aggregate = stage.run(in_flight)
    before = _survey(costs, work, layout) + _exchange(costs, work, layout)
    return Outcome(costs.serial + before + aggregate, aggregate, stage.busy(aggregate))


def _survey(costs: Costs, work: Work, layout: Layout) -> float:
    """Seconds until every environment of the row party knows who is in the table.

    In a table that is sorted by time, each stretch has all persons.
    """
    environments = layout.row_environments
    divided = costs.survey * work.rows / (environments * layout.cores_a_row_environment)
    hashed = costs.hash * work.row_persons / environments
    if environments == 1:
        return divided + hashed
    merged = costs.merge * work.row_persons * (environments - 1).bit_length()
    # Of an environment: survey, two hand-overs, the whole, its share of the hashes, and all.
    calls = 6 * environments * costs.call
    return divided + merged + costs.know * work.row_persons + hashed + calls


def _exchange(costs: Costs, work: Work, layout: Layout) -> float:
    """Seconds of the ID exchange: of its work, or of the driver's calls, if these last longer.

    A bin is hidden and evaluated by one environment of each party; then all are told the keys.
    """
    row_cores = layout.row_environments * layout.cores_a_row_environment
    environments = layout.row_environments + layout.column_cores
    bins = -(-work.row_persons // BIN_PERSONS)
    calls = (6 * bins + environments) * costs.call
    return max(calls, work.persons * costs.person / (row_cores + layout.column_cores))


class _Aggregate:
    """The stage in which batches are joined."""

    def __init__(self, costs: Costs, work: Work, layout: Layout) -> None:
        self._costs = costs
        self._work = work
        self._layout = layout
        self._rows = work.rows / work.batches
        self._driver = _Server()
        self._row = [_Server() for _ in range(layout.row_environments)]
        self._rows_of = Stretches(self._row, work.batches)
        self._column = [_Server() for _ in range(layout.column_cores)]
        self._pool = _Pool(layout.pool_cores)
        self._waiting: dict[int, list[float]] = {}
        """Ends of partial results that wait for others, by level."""
        self._running: list[tuple[float, int]] = []
        """Ends and levels of the tasks that run."""

    def run(self, in_flight: int) -> float:
        """Run all batches; returns the seconds that this takes."""
        for batch in self._rows_of.order:
            while len(self._running) >= in_flight:
                self._wait()
            self._join(batch)
        while self._running:
            self._wait()
        while (left := sum(map(len, self._waiting.values()))) > 1:
            self._add_left(min(left, FAN_IN))
            self._wait()
        return self._driver.free

    def busy(self, seconds: float) -> dict[str, float]:
        """Shares of the time in which each works; of no time, nothing."""
        row = sum(server.worked for server in self._row) / len(self._row)
        column = sum(server.worked for server in self._column) / len(self._column)
        pool = self._pool.worked / self._layout.pool_cores
        worked = {"driver": self._driver.worked, "row": row, "column": column, "pool": pool}
        return {name: spent / seconds if seconds else 0.0 for name, spent in worked.items()}

    def _call(self) -> float:
        """Have the driver make a call; returns when it is made."""
        return self._driver.serve(0.0, self._costs.call)

    def _join(self, batch: int) -> None:
        flags = self._emit_flags()
        per_core = self._rows / self._layout.cores_a_row_environment
        emitter = self._rows_of.emitter(batch)
        rows = emitter.serve(self._call(), per_core * self._costs.row)
        matches = self._work.matches / self._work.batches
        end = self._pool.serve(max(flags, rows, self._call()), matches * self._costs.match)
        heappush(self._running, (end, 0))

    def _emit_flags(self) -> float:
        flags = self._work.flags / self._work.batches
        calls = max(1, round(flags / self._work.flags_a_call))
        seconds = flags / calls * self._costs.flag
        return max(self._column_turn().serve(self._call(), seconds) for _ in range(calls))

    def _column_turn(self) -> _Server:
        return min(self._column, key=lambda server: server.free)

    def _wait(self) -> None:
        """Wait for the task that ends first; add its result to others of its level."""
        end, level = heappop(self._running)
        self._driver.free = max(self._driver.free, end)
        waiting = self._waiting.setdefault(level, [])
        waiting.append(end)
        if len(waiting) == FAN_IN:
            waiting.clear()
            self._add(level + 1)

    def _add(self, level: int) -> None:
        end = self._pool.serve(self._call(), self._costs.add)
        heappush(self._running, (end, level))

    def _add_left(self, count: int) -> None:
        """Add results of any level, at the end."""
        ends = sorted(end for waiting in self._waiting.values() for end in waiting)
        self._waiting = {0: ends[count:]}
        self._add(0)
