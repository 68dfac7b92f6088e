"""The files of a table: which there are, and what their names tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import unquote

import pyarrow as pa

from xstat_ray.errors import InputError
from xstat_ray.inputs.copies import refuse_copies
from xstat_ray.inputs.table_options import FORMAT_NAMES, NOTHING_SET, TableOptions
from xstat_ray.inputs.table_walk import Found, find_files, refuse_twice, shown
from xstat_ray.util.location import Location, LocationLike
from xstat_ray.util.threads import each_in_threads, each_waiting

T = TypeVar("T")

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".arrows": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    ".orc": "orc",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Endings behind those of text, and what Arrow calls them."""
TEXT_FORMATS = ("csv", "tsv", "jsonl")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
HELD_BYTES = 64 << 20
"""Most bytes of a table in an object store whose files are read whole, once, and stay in memory: a
file then takes a few requests and not some for each reading."""
_TRIES = 3
"""How often a file is fetched that was replaced meanwhile."""
FOOTER_BYTES = 16 << 20
"""Bytes of footers of a table, as they are stored, that are kept while it is open."""
Look = Literal["size", "version", "bytes"]
"""What is asked of an object store about each file that it lists."""


class Stamp(NamedTuple):
    """By what a change of a file is noticed without reading it."""

    size: int
    """In bytes."""
    changed: int
    """When, in nanoseconds since 1970; 0 in an object store."""
    version: str = ""
    """What an object store changes with each version of an object; empty on a disk."""


class Footers:
    """Footers of the files of a table, which are asked for again and again.

    Several threads may use it.
    """

    def __init__(self, files: int = 1) -> None:
        """Start without any of so many files."""
        self.files = files
        self._kept: dict[Location, Any] = {}
        self._left = FOOTER_BYTES

    def of(self, path: Location, read: Callable[[], Any]) -> Any:
        """Return the footer of a file, which is read once; of very many some are read again."""
        found = self._kept.get(path)
        if found is None:
            found = read()
            if found.serialized_size <= self._left:
                self._left -= found.serialized_size
                self._kept[path] = found
        return found


@dataclass(frozen=True)
class TableFile:
    """One file of a table."""

    path: Location
    name: str
    """Path relative to the table's folder, with '/'."""
    format: str
    partitions: Mapping[str, str | None]
    """Values that the names of folders give (`date=2024-01-01/`), as text by column; None is
    null."""
    stamp: Stamp
    """As it was when the files were listed."""
    compression: str | None = None
    """How the text in it is compressed, as Arrow calls it."""
    options: TableOptions = NOTHING_SET
    content: pa.Buffer | None = field(default=None, repr=False, compare=False)
    """Its bytes, of the version that `stamp` tells, where they are held in memory."""
    footers: Footers = field(default_factory=Footers, repr=False, compare=False)
    """Footers of this file and of the others of its table."""

    @property
    def shown(self) -> str:
        """The path as text that can be printed, whatever bytes it holds."""
        return shown(self.path)

    @property
    def is_near(self) -> bool:
        """Whether it is read without asking an object store."""
        return self.path.is_local or self.content is not None

    @property
    def is_text(self) -> bool:
        """Whether all values are text that is still to be parsed."""
        return self.format in TEXT_FORMATS

    @property
    def delimiter(self) -> str:
        """The character that divides the fields of CSV or TSV."""
        if self.format == "tsv" and self.options.delimiter is None:
            return "\t"
        return self.options.field_end


Paths = LocationLike | Sequence[LocationLike]
"""A file, a folder or a pattern, or several of them."""


def several(paths: Paths) -> tuple[LocationLike, ...]:
    """List the paths, which may be one alone."""
    return (paths,) if isinstance(paths, LocationLike) else tuple(paths)


def list_files(
    paths: Paths, options: TableOptions | None = None, look: Look = "version"
) -> tuple[TableFile, ...]:
    """List the files of a table: those that `paths` name, or all below, in the order of names.

    Files and folders whose name begins with '.' or '_' (`_SUCCESS`, `_metadata`) are left out.

    Args:
        paths: a file, a folder, or a pattern such as `presence/date=2024-05-*`; or several, whose
            files follow each other.
        options: how the files are read.
        look: what an object store is asked about each file: nothing, so that stamps tell the size
            alone; the version; or, where the table has at most `HELD_BYTES`, also the bytes.

    Raises:
        InputError: nothing there, no files, a file of unknown format, files of several formats, the
            copy of a file, or one of the reasons of `find_files`.
    """
    options = options or NOTHING_SET
    roots = several(paths)
    if not roots:
        raise InputError("no path is given", remedy="Name a file or a folder")
    found = [
        file for number, root in enumerate(roots, 1) for file in _find(root, number, roots, options)
    ]
    if len(roots) > 1:
        # Of one, `find_files` has done it.
        refuse_twice(found)
    if look != "size":
        # Whoever asks for sizes alone, such as the driver, opens no file.
        refuse_copies(found)
    files = tuple(_looked_at(found, options, look))
    if not files:
        raise InputError(
            "the folder holds no files",
            file=", ".join(shown(Location.of(root)) for root in roots),
            remedy=f"Put {_KNOWN} files there; names that begin with '.' or '_' are left out",
        )
    for file in files:
        if file.format != files[0].format:
            raise InputError(
                f"the table's files have different formats, {files[0].format} and {file.format}",
                file=file.shown,
                remedy="Keep the files of one table in one format",
            )
    return files


def _find(
    root: LocationLike, number: int, roots: Sequence[LocationLike], options: TableOptions
) -> list[Found]:
    """List the files of one path; of several, the names tell them apart."""
    found = find_files(Location.of(root), options)
    if len(roots) == 1:
        return found
    return [file._replace(name=f"{number}/{file.name}") for file in found]


def _looked_at(found: Sequence[Found], options: TableOptions, look: Look) -> Iterable[TableFile]:
    """Look at files; those of an object store many at a time, as each takes requests."""
    stored = [file for file in found if not file.path.is_local]
    footers = Footers(len(found))
    if not stored or look == "size":
        return [_table_file(file, options, "size", footers) for file in found]
    if look == "bytes" and sum(file.size for file in stored) > HELD_BYTES:
        look = "version"
    return each_waiting(lambda file: _table_file(file, options, look, footers), found)


def each_file(work: Callable[[TableFile], T], files: Sequence[TableFile]) -> Iterable[T]:
    """Work on each file, in order, in threads; on those of an object store many at a time."""
    near = all(file.is_near for file in files)
    return each_in_threads(work, files) if near else each_waiting(work, files)


_GONE = Stamp(-1, 0)


def stamp_of(path: Location) -> Stamp:
    """Look up the size of a file and when it was changed; nothing fits a file that is gone."""
    if path.store is not None:
        stored = path.store.version(path.inside)
        return _GONE if stored is None else Stamp(stored.size, 0, stored.mark)
    try:
        found = path.local.stat()
    except OSError:
        return _GONE
    return Stamp(found.st_size, found.st_mtime_ns)


_KNOWN = (
    "Parquet (.parquet), Arrow (.arrow, .feather), ORC (.orc), CSV (.csv, .tsv) or JSON lines "
    "(.jsonl)"
)


def _table_file(found: Found, options: TableOptions, look: Look, footers: Footers) -> TableFile:
    kind, compression = _format_of(found.path.name.lower(), options)
    if kind is None:
        named = "|".join(FORMAT_NAMES)
        raise InputError(
            "not a table file by its name",
            file=shown(found.path),
            remedy=f"Use {_KNOWN}; text may be compressed (.gz, .zst, .bz2). Or tell what such "
            f"files are by {options.setting(f'format={named}')}, or begin its name with '_' to "
            "leave it out",
        )
    stamp, content = _looked_up(found, look)
    return TableFile(
        found.path,
        shown(found.name),
        kind,
        _partitions(found),
        stamp,
        compression,
        options,
        content,
        footers,
    )


def _looked_up(found: Found, look: Look) -> tuple[Stamp, pa.Buffer | None]:
    """Look up the stamp of a file, and perhaps its bytes, which are of the same version.

    Raises:
        InputError: the store cannot be asked, or the file is replaced again and again.
    """
    store = found.path.store
    if store is None or look == "version":
        return stamp_of(found.path), None
    if look == "size":
        return Stamp(found.size, 0), None
    for _ in range(_TRIES):
        stored = store.fetch(found.path.inside)
        if stored is None:
            return _GONE, None
        stamp = Stamp(stored[0].size, 0, stored[0].mark)
        # A store does not tell with the bytes of which version they are.
        if stamp_of(found.path) == stamp:
            return stamp, stored[1]
    raise InputError(
        "the file is replaced while it is read",
        file=shown(found.path),
        remedy="Let nothing write to tables and lists while a run uses them",
    )


def _format_of(name: str, options: TableOptions) -> tuple[str | None, str | None]:
    """Format and compression of a file, by its name in small letters and the setting."""
    ending = next((end for end in COMPRESSIONS if name.endswith(end)), "")
    compression = COMPRESSIONS.get(ending)
    bare = name.removesuffix(ending)
    kind = next((kind for end, kind in FORMATS.items() if bare.endswith(end)), None)
    if kind is None and options.format is not None:
        kind = FORMAT_NAMES[options.format]
    if compression is not None and kind not in TEXT_FORMATS:
        return None, None
    return kind, compression


def _partitions(found: Found) -> dict[str, str | None]:
    """Read the columns that the names of folders give.

    Raises:
        InputError: two folders give a column different values, or a name is not UTF-8.
    """
    partitions: dict[str, str | None] = {}
    for part in found.name.split("/")[:-1]:
        key, equals, written = part.partition("=")
        if not equals:
            continue
        value = _partition_value(found.path, written)
        if partitions.setdefault(key, value) != value:
            raise InputError(
                "two folders above the file give a column different values",
                file=shown(found.path),
                column=shown(key),
                remedy="Move the file to where it belongs, or rename one of the folders",
            )
    return partitions


def _partition_value(path: Location, written: str) -> str | None:
    """Read the value in the name of a folder; None is null."""
    if written in ("", _NULL_PARTITION):
        return None
    try:
        value = unquote(written, errors="strict")
        # A name of bytes that are not UTF-8 holds what no text can.
        value.encode()
    except UnicodeError:
        # Names that were repaired could become equal, and with them two people one.
        raise InputError(
            "the name of a folder is not UTF-8", file=shown(path.local.parent), remedy="Rename it"
        ) from None
    return value
