"""The exchange: a folder or a bucket, which is all that the domains share and which none trusts.

A file is there as a whole or not at all: on a disk by renaming, in an object store because an
upload becomes visible when it ends.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import fs

from xstat_ray.errors import InputError
from xstat_ray.util.files import write_whole
from xstat_ray.util.location import Location, LocationLike
from xstat_ray.util.object_stores import put_whole, reason_of

MAX_FILE_BYTES = 16 << 30
"""Bytes of the largest file that is read; no message is larger."""


_PAUSE = 0.05
_COSTLY_PAUSE = 0.8
"""An object store is paid by the request."""


class Exchange:
    """The files of one run in the exchange."""

    def __init__(self, filesystem: fs.FileSystem, root: str, run: str) -> None:
        self._fs = filesystem
        self._root = PurePosixPath(root) / run
        self._made = set[PurePosixPath]()
        self.longest_pause = _PAUSE if isinstance(filesystem, fs.LocalFileSystem) else _COSTLY_PAUSE
        """Seconds between two looks for a file that has not come, at most."""
        self._mode = 0
        """Permissions of the exchange itself, for all that is made in it on a disk."""

    @classmethod
    def at(cls, location: LocationLike, run: str) -> Exchange:
        """Open the exchange for a run.

        Args:
            location: a folder, on a disk or in an object store.
            run: name of the run.

        Raises:
            InputError: the place cannot be used.
        """
        try:
            place = Location.of(location).absolute
            exchange = cls(place.filesystem, place.inside, run)
            exchange._make_folder(exchange._root)
        except InputError as error:
            raise _unusable("the place", error) from None
        except (OSError, pa.ArrowException) as error:
            raise _unusable(str(place), error) from None
        return exchange

    def put(self, name: str, content: bytes) -> None:
        """Store a file under `name`, whole or not at all; a file of that name is replaced.

        Raises:
            InputError: the file cannot be written.
        """
        path = str(self._root / name)
        try:
            self._make_folder(PurePosixPath(path).parent)
            if isinstance(self._fs, fs.LocalFileSystem):
                write_whole(Path(path), content, self._mode & 0o666, shared=True)
            else:
                put_whole(self._fs, path, content)
        except (OSError, pa.ArrowException) as error:
            raise _unusable(path, error) from None

    def _make_folder(self, folder: PurePosixPath) -> None:
        """Make a folder once, as that takes four requests to an object store."""
        if folder in self._made:
            return
        if isinstance(self._fs, fs.LocalFileSystem):
            self._make_local_folder(Path(folder))
        else:
            self._fs.create_dir(str(folder))
        self._made.add(folder)

    def _make_local_folder(self, folder: Path) -> None:
        """Make a folder that whoever may use the exchange may use.

        Domains that are different users share it by a group, say; each works with a umask that
        would keep the others out.
        """
        location = Path(self._root.parent)
        location.mkdir(parents=True, exist_ok=True)
        self._mode = stat.S_IMODE(location.stat().st_mode)
        for path in (Path(self._root), folder):
            try:
                path.mkdir()
            except FileExistsError:
                continue
            # Whoever may write beside it could have put a link in its place by now.
            made = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.fchmod(made, self._mode)
            finally:
                os.close(made)

    def get(self, name: str) -> bytes | None:
        """Read a file; None if there is none.

        Raises:
            InputError: the file cannot be read, or is far larger than any message.
        """
        path = str(self._root / name)
        try:
            info = self._fs.get_file_info(path)
            if info.type != fs.FileType.File:
                return None
            if info.size > MAX_FILE_BYTES:
                raise InputError(
                    "a file is far larger than any message", file=path, remedy="Remove it"
                )
            with self._fs.open_input_file(path) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            raise _unusable(path, error) from None


def _unusable(location: str, error: Exception) -> InputError:
    remedy = "Set domain.exchange to a folder or bucket that this user may read and write"
    reason = error.problem if isinstance(error, InputError) else reason_of(error)
    return InputError(
        f"the exchange cannot be used: {reason}",
        file=location,
        key="domain.exchange",
        remedy=remedy,
    )
