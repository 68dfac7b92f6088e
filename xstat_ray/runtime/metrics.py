"""Counters for Prometheus, through Ray's endpoints, which need the extra `cluster`.

The endpoints answer whoever reaches them, so only totals of a stage are counted, and nothing of a
shard, a cell, a person or a match.
"""

from __future__ import annotations

from dataclasses import fields

from ray.util.metrics import Counter

from xstat_ray.runtime.task_stats import TaskStats

_SUMMED = {
    "seconds": "Seconds that tasks have run",
    "rows": "Rows of the row party that were joined",
    "flags": "Flags of the column party that tasks have read, once for each task",
    "partials": "Partials that were made or added",
    "bytes": "Bytes of rows and flags that tasks have read",
}


class Metrics:
    """The counters of a run; their only label is the stage."""

    def __init__(self) -> None:
        assert _SUMMED.keys() <= {field.name for field in fields(TaskStats)}
        self._summed = {name: _counter(name, text) for name, text in _SUMMED.items()}
        self._tasks = _counter("tasks", "Tasks that have ended well")
        self._retries = _counter(
            "retries", "Tries of tasks after the first, copies of late tasks included"
        )

    def ended(self, stage: str, stats: TaskStats) -> None:
        """Count a task."""
        tags = {"stage": stage}
        self._tasks.inc(1, tags)
        for name, counter in self._summed.items():
            if value := getattr(stats, name):
                counter.inc(value, tags)

    def retried(self, stage: str, times: int) -> None:
        """Count tries beyond the first."""
        self._retries.inc(times, {"stage": stage})


def _counter(name: str, text: str) -> Counter:
    return Counter(f"xstat_{name}_total", description=text, tag_keys=("stage",))
