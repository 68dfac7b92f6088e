"""The output folder of a run: one release, and while it is unfinished what a rerun needs to finish it.

A release must never be drawn twice. The noisy ciphertexts are therefore stored, together with the parties' secrets
in folders of their own, before anything is decrypted; a rerun with the same study finds them and replays them.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from xstat_ray.errors import InputError
from xstat_ray.files import unwritable, write_whole
from xstat_ray.messages import NoisyTable
from xstat_ray.plan import Plan
from xstat_ray.release import STATISTICS

_UNFINISHED = "unfinished"


@dataclass(frozen=True)
class Resumable:
    """A release whose noise has been drawn but which was not published."""

    noisy: NoisyTable
    facts: dict[str, Any]
    """What the manifest says about the stages that ran before."""


class Workspace:
    """Exclusive use of an output folder; a context manager."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Take the folder, before anything expensive starts.

        Raises:
            InputError: it holds a release, cannot be written to, or another run is using it.
        """
        self._plan, self.folder = plan, folder
        self._unfinished = folder / _UNFINISHED
        self._noisy = self._unfinished / "noisy.parquet"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                self._lock = os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise unwritable(folder, error) from None
        with ExitStack() as undo:
            undo.callback(os.close, self._lock)
            self._take()
            undo.pop_all()

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._drop_leftovers()
            self._check_room()
            self._unfinished.mkdir(mode=0o700, exist_ok=True)
        except BlockingIOError:
            remedy = "Wait for it"
            raise InputError("another run is using the output folder", file=str(self.folder), remedy=remedy) from None
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def _drop_leftovers(self) -> None:
        """Remove the secrets of a run that ended before its noisy table was stored, or after it was published."""
        if not self._noisy.exists():
            shutil.rmtree(self._unfinished, ignore_errors=True)

    def _check_room(self) -> None:
        if (self.folder / STATISTICS).exists() and not self._unfinished.exists():
            raise InputError(
                "the output folder already holds a release, which is never overwritten",
                file=str(self.folder),
                remedy="Choose another out=, and mind that a new release spends budget again",
            )
        needed = 3 * self._plan.table_bytes + 64 * self._plan.coefficients
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise InputError(
                f"the disk has {free:,} bytes free and the release needs {needed:,}",
                file=str(self.folder),
                remedy="Free space or choose another out=",
            )

    def own(self, role: str) -> Path:
        """A party's own folder: what it keeps of this release for itself."""
        return self.folder / "parties" / role

    def count_view(self) -> int:
        """Record durably that the aggregator is about to see this folder's padded tables; returns how often it has.

        A run that fails later and is started again shows them once more, with fresh dummies.
        """
        place = self.own("pool")
        try:
            place.mkdir(parents=True, exist_ok=True)
            count = 1 + (int((place / "views").read_text()) if (place / "views").exists() else 0)
            write_whole(place / "views", str(count).encode())
        except OSError as error:
            raise unwritable(self.folder, error) from None
        return count

    def party(self, role: str) -> Path:
        """The private folder of a party while the release is unfinished."""
        return self._unfinished / role

    def keep(self, noisy: NoisyTable, facts: dict[str, Any]) -> None:
        """Store the noisy table durably; from here on a rerun replays it.

        Raises:
            InputError: the disk is full. Nothing was published or spent.
        """
        study = self._plan.study
        try:
            head = {"key_bits": self._plan.key_bits, "slot_bits": self._plan.packing.slot_bits, "facts": facts}
            write_whole(self._unfinished / "facts.json", json.dumps(head).encode())
            write_whole(self._noisy, noisy.encode(study.digest))
        except OSError as error:
            shutil.rmtree(self._unfinished, ignore_errors=True)
            raise unwritable(self.folder, error) from None

    def resumable(self) -> Resumable | None:
        """The unfinished release in this folder, if there is one of the same study.

        Raises:
            InputError: the folder holds the unfinished release of another study or key size.
        """
        if not self._noisy.exists():
            return None
        head = json.loads((self._unfinished / "facts.json").read_text())
        same = head["key_bits"] == self._plan.key_bits and head["slot_bits"] == self._plan.packing.slot_bits
        if not same or head["facts"]["study_digest"] != self._plan.study.digest.hex():
            raise InputError(
                "the output folder holds the unfinished release of another study or key size",
                file=str(self.folder),
                remedy="Run that study again to finish it, or choose another out=",
            )
        return Resumable(NoisyTable.decode(self._noisy.read_bytes(), self._plan.study.digest), head["facts"])

    def finish(self) -> None:
        """Remove the secrets and the stored ciphertexts: the release is published, or refused before its decryption."""
        # The table goes first: without it nobody tries to resume from what an interruption here may leave.
        self._noisy.unlink()
        shutil.rmtree(self._unfinished)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._drop_leftovers()
        os.close(self._lock)
