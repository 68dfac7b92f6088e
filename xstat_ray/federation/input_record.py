"""What a party's environments have read in the steps of a run so far, on the party's disk.

A step that reads again demands that it is the same. Whatever leaves a party follows from what is in
this record, which is on disk before: so messages that are out and those that are still to come are
of the same tables and lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.roles.party import Party
from xstat_ray.runtime.executor import Executor, Instance
from xstat_ray.util.files import write_whole

INPUT = "input"
"""File in the party's private folder with keyed digests of what was read."""


class InputRecord:
    """The record of one party in one run."""

    def __init__(
        self, folder: Path, executor: Executor, instances: Sequence[Instance[Party]]
    ) -> None:
        """Begin a step.

        Args:
            folder: the party's private folder for the run.
            executor: runs the party's environments.
            instances: these environments; the first makes the secrets.
        """
        self._path = folder / INPUT
        self._executor = executor
        self._instances = instances
        self._kept = self._path.read_bytes() if self._path.exists() else b"{}"
        self._batches = set[int]()

    def demand(self) -> None:
        """Have all environments compare what they read with the record, from their intake on.

        Sizes and times of change are compared by the first environment alone, as others may have
        the files at other places.
        """
        if self._kept == b"{}":
            return
        calls = [
            instance.call(Party.expect_input, self._kept, instance is self._instances[0])
            for instance in self._instances
        ]
        self._executor.get_all(calls)

    def keep(self) -> None:
        """Add what the environments have read, before anything that follows from it leaves.

        Raises:
            InputError: they have read different tables, or the disk is full.
        """
        self._keep(self._instances)

    def _keep(self, instances: Sequence[Instance[Party]]) -> None:
        whole = ReadDigests(bytes(16))
        whole.expect(self._kept)
        calls = [instance.call(Party.input_read) for instance in instances]
        for instance, read in zip(instances, self._executor.get_all(calls), strict=True):
            whole.expect(read, stamps=instance is self._instances[0])
        content = whole.export()
        if content != self._kept:
            write_whole(self._path, content, mode=0o600)
            self._kept = content

    def keep_batch(self, batch: int, emitter: Instance[Party]) -> None:
        """Add, once for each batch, what the environment has read that emits it."""
        if batch not in self._batches:
            self._keep([emitter])
            self._batches.add(batch)
