"""The output folder of a job, which holds one release and belongs to one run at a time.

While a release is unfinished, a private folder inside holds what a rerun needs. A marker file there
tells that the noise was drawn and stored. With it a rerun finishes the release; without it, what an
interrupted run left is removed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from xstat_ray.errors import InputError
from xstat_ray.publication.release import STATISTICS
from xstat_ray.util.files import drop_partials, unwritable

UNFINISHED = "unfinished"


class OutputFolder:
    """Exclusive use of an output folder; a context manager."""

    def __init__(self, folder: Path, marker: str, needed: int) -> None:
        """Take the folder, before anything expensive starts.

        Args:
            folder: the output folder; it is made if it does not exist.
            marker: name of the file in the private folder that tells that the noise was stored.
            needed: bytes that the release takes.

        Raises:
            InputError: the folder holds a release, has too little room, cannot be written to, or
                another run is using it.
        """
        self.folder = folder
        self._needed = needed
        self.unfinished = folder / UNFINISHED
        """Private folder of an unfinished release; only this user can read it."""
        self._marker = self.unfinished / marker
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

    @property
    def stored(self) -> bool:
        """Whether the noise was drawn and stored, and the release is not yet published."""
        return self._marker.exists()

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._drop_leftovers()
            self._check_room()
            self.unfinished.mkdir(mode=0o700, exist_ok=True)
        except BlockingIOError:
            raise InputError(
                "another run is using the output folder",
                file=str(self.folder),
                remedy="Wait for it",
            ) from None
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def begin_again(self) -> None:
        """Empty the private folder of what this run has left, unless it can be resumed from.

        Raises:
            InputError: the folder cannot be written to.
        """
        try:
            self._drop_leftovers()
            self.unfinished.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def _drop_leftovers(self) -> None:
        """Remove the private folder, unless a rerun can resume from it, and half-written files."""
        drop_partials(self.folder)
        if not self.stored:
            shutil.rmtree(self.unfinished, ignore_errors=True)

    def _check_room(self) -> None:
        if (self.folder / STATISTICS).exists() and not self.stored:
            raise InputError(
                "the output folder already holds a release, which is never overwritten",
                file=str(self.folder),
                remedy="Choose another out=, and mind that a new release spends budget again",
            )
        free = shutil.disk_usage(self.folder).free
        if free < self._needed:
            raise InputError(
                f"the disk has {free:,} bytes free and the release needs {self._needed:,}",
                file=str(self.folder),
                remedy="Free space or choose another out=",
            )

    def finish(self) -> None:
        """Remove the private folder, once the release is published or refused by the ledger."""
        # The marker goes first: without it no run resumes from what an interruption here leaves.
        self._marker.unlink()
        shutil.rmtree(self.unfinished)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._drop_leftovers()
        os.close(self._lock)
