"""Places where data lies: on a disk, or in an object store that a URI names.

A location holds no credentials, so it may be printed, logged and handed to other processes. Each
process opens an object store with the credentials that its environment gives: the variables and
files that the tools of the store use as well. A URI with credentials in it is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from xstat_ray.errors import InputError
from xstat_ray.util.files import write_whole
from xstat_ray.util.object_stores import SCHEMES, Store, parse_uri, unusable

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_COLLAPSED = re.compile(rf"({'|'.join(SCHEMES)}):/(?!/)")
"""A URI that went through a path of a disk, which has no two slashes in a row."""
_SHORT_FILE = re.compile(r"file:(?=/(?!/))", re.IGNORECASE)
"""How some programs begin a URI of a file. (RFC 8089, appendix B.)"""
_ADDRESS = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]+)(?=:/)"
    r"|(jdbc|odbc|sqlite|duckdb|profile|mysql|postgres(?:ql)?)(?=:)",
    re.IGNORECASE,
)
"""What other programs read as an address, such as `dbfs:/x` and `sqlite:x.db`."""


@dataclass(frozen=True)
class Location:
    """A file or a folder; prints as a path or URI without the settings of its object store."""

    inside: str
    """Path in its file system: on a disk absolute or relative, in an object store with the bucket
    or container in front."""
    store: Store | None = None
    """The object store; None is a disk."""

    @classmethod
    def of(cls, value: Location | Path | str) -> Location:
        """Read a path or a URI.

        Raises:
            InputError: a URI of an unknown kind, without a bucket, or with credentials in it; the
                message repeats nothing of what could be one.
        """
        if isinstance(value, Location):
            return value
        text = str(value)
        found = _URI.match(text)
        if found is None and (collapsed := _COLLAPSED.match(text)) is not None:
            raise InputError(
                f"a URI of {collapsed[1]}:// became a path of a disk",
                remedy="Hand it over as text; a folder of that name has an absolute path",
            )
        if found is None and (short := _SHORT_FILE.match(text)) is not None:
            return cls(str(Path(unquote(text[short.end() :]))))
        if found is None and (address := address_kind(text)) is not None:
            raise InputError(
                f"{address}: cannot be served here",
                file=f"{address}:...",
                remedy=f"Use a path of a disk ({_ABSOLUTE_NAME}), or "
                + ", ".join(f"{name}://" for name in SCHEMES),
            )
        if found is None:
            return cls(str(Path(text)))
        if found[1].lower() == "file":
            return cls(str(Path(_path_of_file(text[found.end() :]))))
        store, inside = parse_uri(text)
        return cls(inside, store)

    @property
    def is_local(self) -> bool:
        """Whether this lies on a disk."""
        return self.store is None

    @property
    def local(self) -> Path:
        """The path on a disk.

        Raises:
            InputError: this lies in an object store.
        """
        if self.store is not None:
            raise InputError(
                "an object store cannot serve here",
                file=str(self),
                remedy="Name a file or folder on a disk",
            )
        return Path(self.inside)

    @property
    def absolute(self) -> Location:
        """This location with an absolute path, which means the same in every process."""
        return self if self.store else Location(str(self.local.absolute()))

    @property
    def name(self) -> str:
        """Last part of the path."""
        return PurePosixPath(self.inside).name

    @property
    def filesystem(self) -> fs.FileSystem:
        """The file system that `inside` is a path of.

        Raises:
            InputError: the object store cannot be opened.
        """
        return fs.LocalFileSystem() if self.store is None else self.store.filesystem()

    @property
    def uri(self) -> str:
        """The whole text from which `of` makes this location again."""
        return self.inside if self.store is None else self.store.uri(self.inside)

    def __truediv__(self, name: str) -> Location:
        return Location(str(PurePosixPath(self.inside) / name), self.store)

    def __str__(self) -> str:
        return self.inside if self.store is None else self.store.shown(self.inside)

    def __fspath__(self) -> str:
        return str(self.local)

    def exists(self) -> bool:
        """Whether there is a file or a folder.

        Raises:
            InputError: the object store cannot be asked.
        """
        if self.store is None:
            return self.local.exists()
        return self.store.holds(self.inside)

    def open(self) -> IO[bytes]:
        """Open a file for reading at any place.

        Raises:
            OSError: there is no such file, or it may not be read.
            InputError: the object store cannot be opened.
        """
        if self.store is None:
            return self.local.open("rb")
        return cast(IO[bytes], self.filesystem.open_input_file(self.inside))

    def read(self) -> bytes | None:
        """Read a file; None where there is none.

        Raises:
            OSError: the file may not be read.
            InputError: the object store cannot be used.
        """
        try:
            with self.open() as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            if self.store is None:
                raise
            raise unusable(str(self), error) from None

    def write(self, content: bytes) -> None:
        """Write a file that is there whole or not at all; on a disk its folder exists.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
            InputError: the object store does not take it.
        """
        if self.store is None:
            write_whole(self.local, content)
        else:
            self.store.put(self.inside, content)


_ABSOLUTE_NAME = "an absolute one where that is the name of a folder or a file"


def address_kind(text: str) -> str | None:
    """What a text begins with that is no path but an address, such as `dbfs`; None of a path."""
    found = _ADDRESS.match(text)
    return None if found is None else found[0].lower()


def _path_of_file(rest: str) -> str:
    if not rest.startswith("/"):
        raise InputError("the URI names no absolute path", file="file://...", remedy=_ABSOLUTE)
    return unquote(rest)


_ABSOLUTE = "Write file:/// and the path, or the path alone"


LocationLike = Location | Path | str
"""What `Location.of` reads."""


def local_path(value: Path | str, *, file: str | None = None, key: str | None = None) -> Path:
    """Read the path of what can lie on a disk only.

    Args:
        value: the path, or a URI `file://`.
        file: where the value was read, for the error.
        key: dotted key of the configuration, for the error.

    Raises:
        InputError: it is a URI of anything else.
    """
    try:
        return Location.of(value).local
    except InputError as error:
        raise InputError(error.problem, file=file, key=key, remedy=error.remedy) from None
