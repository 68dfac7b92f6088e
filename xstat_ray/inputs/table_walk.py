"""Finds the files below a folder of a disk, and leaves nothing out in silence.

Links are followed. What cannot be looked at, links that lead to nothing, and files that two names
lead to are refused: rows would be missing, or be counted twice.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from xstat_ray.errors import InputError
from xstat_ray.inputs.lake_tables import (
    refuse_lake,
    refuse_part_of_lake,
    refuse_stored_lake,
)
from xstat_ray.inputs.table_options import NOTHING_SET, TableOptions
from xstat_ray.util.location import Location, LocationLike
from xstat_ray.util.object_stores import Store

HIDDEN = (".", "_")
"""Beginnings of names that are left out, as those of `_SUCCESS` and `.crc` files are."""
_MAGIC = "*?["
_Identity = tuple[int, int]


class Found(NamedTuple):
    """A file of a table."""

    path: Location
    name: str
    """Path below the folder that was searched, with '/'."""
    linked: _Identity | None = None
    """Which file it is, where it has several names (hard links)."""
    size: int = 0
    """In bytes, as an object store lists it."""


def shown(path: LocationLike) -> str:
    """Write a path for people; what is no UTF-8, and what nobody sees, appears as escapes."""
    text = str(path)
    if text.isascii() and text.isprintable():
        return text
    with suppress(UnicodeEncodeError):
        text = os.fsencode(text).decode(errors="backslashreplace")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def find_files(place: Location, options: TableOptions = NOTHING_SET) -> list[Found]:
    """List the files that a place names, in the order of their names.

    Args:
        place: a file, a folder, or a pattern with `*`, `?`, `[...]` and `**` (any folders) in it. A
            path that exists as it is written is not a pattern; in an object store `?` is none.
        options: how the files are read; for remedies.

    Raises:
        InputError: nothing is there; a folder may not be read; a link leads to nothing or in a
            circle; two names lead to one file; or a folder is one of those in `lake_tables`.
    """
    if place.store is not None:
        return _stored(place, place.store, options)
    path = place.local
    root, pattern = _split(path)
    try:
        status = root.stat()
    except (OSError, ValueError) as error:
        raise _unreachable(root, error) from None
    refuse_part_of_lake(root, shown(path), options)
    if stat.S_ISREG(status.st_mode):
        return [Found(Location(str(root)), root.name, linked=_linked(status))]
    if not stat.S_ISDIR(status.st_mode):
        raise _not_a_file(root)
    found = sorted(_below(root, (), pattern, (), options), key=lambda file: os.fsencode(file.name))
    if pattern and not found:
        raise InputError("no file fits the pattern", file=shown(path), remedy="Check the pattern")
    refuse_twice(found)
    return found


def is_there(place: Location) -> bool:
    """Whether there is something at a place, or where a pattern begins.

    Raises:
        InputError: the object store cannot be asked.
    """
    if place.store is not None:
        return any(letter in place.inside for letter in "*[") or place.store.holds(place.inside)
    try:
        os.lstat(_split(place.local)[0])
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        # What is wrong is said when it is opened.
        return True
    return True


def _stored(place: Location, store: Store, options: TableOptions) -> list[Found]:
    """List the files of an object store, which has no links."""
    parts = place.inside.split("/")
    first = next((i for i, part in enumerate(parts) if any(c in part for c in "*[")), len(parts))
    if first < len(parts) and store.holds(place.inside):
        first = len(parts)
    root = Location("/".join(parts[:first]), store)
    pattern = parts[first:]
    files = store.list_files(root.inside)
    if not files:
        raise _nothing(shown(place))
    if [file.path for file in files] == [root.inside]:
        return [Found(root, root.name, size=files[0].size)]
    above = len(root.inside.rstrip("/")) + 1
    sizes = {file.path[above:]: file.size for file in files}
    names = sorted(sizes)
    refuse_stored_lake(root, names, options)
    found = [
        Found(Location(f"{root.inside.rstrip('/')}/{name}", store), name, size=sizes[name])
        for name in names
        if not any(part.startswith(HIDDEN) for part in name.split("/"))
        and _fits(name.split("/"), pattern)
    ]
    if pattern and not found:
        raise InputError("no file fits the pattern", file=shown(place), remedy="Check the pattern")
    return found


def _split(path: Path) -> tuple[Path, Sequence[str]]:
    """The folder that holds all that a pattern can fit, and the rest of the pattern.

    A folder that is there by the name that is written is no pattern.
    """
    parts = path.parts
    for first, part in enumerate(parts):
        if any(letter in part for letter in _MAGIC) and not _exists(Path(*parts[: first + 1])):
            return Path(*parts[:first]), parts[first:]
    return path, ()


def _exists(path: Path) -> bool:
    """Whether there is something of this name, which holds no NUL then."""
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _below(
    folder: Path,
    parts: tuple[str, ...],
    pattern: Sequence[str],
    above: tuple[_Identity, ...],
    options: TableOptions,
) -> Iterator[Found]:
    entries = _entries(folder)
    refuse_lake(folder, {entry.name for entry in entries}, shown(folder), options)
    above = (*above, _identity(folder.stat()))
    for entry in entries:
        inner = (*parts, entry.name)
        if entry.name.startswith(HIDDEN) or not _can_fit(inner, pattern):
            continue
        path = folder / entry.name
        try:
            found = entry.stat()
        except OSError as error:
            raise _unreachable(path, error) from None
        if stat.S_ISDIR(found.st_mode):
            if _identity(found) in above:
                raise InputError(
                    "the link leads back to a folder above it", file=shown(path), remedy=_UNLINK
                )
            yield from _below(path, inner, pattern, above, options)
        elif not _fits(inner, pattern):
            continue
        elif stat.S_ISREG(found.st_mode):
            yield Found(Location(str(path)), "/".join(inner), linked=_linked(found))
        else:
            raise _not_a_file(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unreachable(folder, error) from None


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _linked(found: os.stat_result) -> _Identity | None:
    return _identity(found) if found.st_nlink > 1 else None


def refuse_twice(found: Sequence[Found]) -> None:
    """Refuse files to which two of the paths lead, by links of either kind.

    Raises:
        InputError: there is one.
    """
    seen: dict[str | _Identity, Location] = {}
    for file in found:
        place = os.path.realpath(file.path) if file.path.is_local else file.path.uri
        for mark in (place, file.linked):
            other = file.path if mark is None else seen.setdefault(mark, file.path)
            if other is not file.path:
                raise InputError(
                    f"two names lead to one file; the other is {shown(other)}",
                    file=shown(file.path),
                    remedy="Name it once, or its rows would be counted twice; " + _UNLINK.lower(),
                )


def _can_fit(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a folder of this name can hold files that fit, or a file of this name fits."""
    if not parts or not pattern:
        return True
    if pattern[0] == "**":
        return True
    return fnmatchcase(parts[0], pattern[0]) and _can_fit(parts[1:], pattern[1:])


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a file fits a pattern, or lies in a folder that does."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (len(parts) > 1 and _fits(parts[1:], pattern))
    if not parts:
        return False
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def _unreachable(path: Path, error: OSError | ValueError) -> InputError:
    if isinstance(error, PermissionError):
        what = "folder" if _is_folder(path) else "file or folder"
        return InputError(
            f"the {what} may not be read",
            file=shown(path),
            remedy="Give the user who runs this the right to read it, or begin its name with '_' "
            "to leave it out",
        )
    if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
        return _nothing(shown(path))
    if path.is_symlink():
        problem = (
            "the link leads to nothing"
            if isinstance(error, FileNotFoundError | NotADirectoryError)
            else "the link leads to itself"
        )
        return InputError(problem, file=shown(path), remedy=_UNLINK)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _nothing(shown(path), _alike(path))
    return InputError("the place cannot be read", file=shown(path), remedy="Check the disk")


def _alike(path: Path) -> str | None:
    """Name of a neighbour that differs by how letters with marks are coded, as on macOS."""
    wanted = unicodedata.normalize("NFC", path.name)
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return None
    return next((name for name in names if unicodedata.normalize("NFC", name) == wanted), None)


def _nothing(place: str, alike: str | None = None) -> InputError:
    remedy = "Check the path of the table"
    if alike is not None:
        remedy = (
            "A name that looks the same is there, with its letters coded otherwise (NFC, NFD): "
            "rename it, or name the folder"
        )
    return InputError("no such file or folder", file=place, remedy=remedy)


def _not_a_file(path: Path) -> InputError:
    return InputError(
        "neither a file nor a folder",
        file=shown(path),
        remedy="Write what it gives to a file; a table is read more than once",
    )


_UNLINK = "Remove the link, or begin its name with '_' to leave it out"
