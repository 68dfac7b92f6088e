"""Sources of a party's data: mostly paths; the party reads what is there.

A table that is no file, such as one of a database, is copied into files when a run starts
(`spool`). Only sources of files are handed to other processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from xstat_ray.errors import InputError
from xstat_ray.inputs.frames import Frame
from xstat_ray.inputs.outside import OutsideTable
from xstat_ray.inputs.table_files import Paths, several
from xstat_ray.inputs.table_options import NOTHING_SET, TableOptions
from xstat_ray.inputs.table_walk import is_there, shown
from xstat_ray.privacy.places import Place
from xstat_ray.util.location import Location, LocationLike, local_path

DEFAULT_LEDGER = Path(".xstat-ray/ledger.sqlite")
"""Budget file of both parties where they are on one machine and name no other."""


@dataclass(frozen=True)
class Source:
    """One party's table, the people to leave out of it, and the party's private folder."""

    table: Paths | OutsideTable
    """Files of one format, such as Parquet, Arrow or CSV: a file, a folder, or a pattern such as
    `presence/date=2024-05-*`, or several of them; on a disk or in an object store. Or a `Delta`,
    `Iceberg` or `DatabaseTable` table, or one of Python: whatever can be read as Arrow, such as a
    data frame."""
    exclude: LocationLike | OutsideTable | Sequence[LocationLike | OutsideTable] = ()
    """Tables of the ids of people to leave out, such as people who opted out and telephone lines
    that nobody uses."""
    private: Path | None = None
    """Folder for the party's record of the intake and for its log; None keeps neither."""
    ledger: Place | None = None
    """The party's own ledger, a file or a database. None: `DEFAULT_LEDGER` of the folder in which a
    local run starts."""
    skip_damaged: bool = False
    """Leave out files of the table that cannot be read, as long as some can."""
    unreadable: Literal["stop", "count"] = "stop"
    """Whether an entry of people to leave out that has no normal form ends the run, or is counted
    and passed over: whoever it means is then not left out."""
    warn_above: Fraction = Fraction(1, 20)
    """The party is warned if a larger share of its rows has invalid ids, or is outside the
    domains."""
    options: TableOptions = NOTHING_SET
    """How the files are read, where neither they nor their names tell; holds for the tables of
    people to leave out as well."""

    def __post_init__(self) -> None:
        """Take tables of Python as such.

        Raises:
            InputError: something is neither a path nor a table.
        """
        listed = self.exclude
        object.__setattr__(self, "table", _table(self.table))
        if Frame.accepts(listed):
            object.__setattr__(self, "exclude", Frame(listed))
        elif not isinstance(listed, LocationLike | OutsideTable):
            object.__setattr__(self, "exclude", tuple(map(_one, listed)))

    @property
    def excludes(self) -> tuple[LocationLike | OutsideTable, ...]:
        """The tables of people to leave out, one after the other."""
        listed = self.exclude
        return (listed,) if isinstance(listed, LocationLike | OutsideTable) else tuple(listed)

    @property
    def is_outside(self) -> bool:
        """Whether the table, or a table of people to leave out, is no file."""
        return any(isinstance(table, OutsideTable) for table in (self.table, *self.excludes))

    @property
    def files(self) -> Paths:
        """The path of the table, or its paths.

        Raises:
            InputError: the table is no file, and was not copied into files.
        """
        if isinstance(self.table, OutsideTable):
            raise _no_file(self.table)
        return self.table

    @property
    def exclude_files(self) -> tuple[LocationLike, ...]:
        """The paths of the tables of people to leave out.

        Raises:
            InputError: one is no file, and was not copied into files.
        """
        return tuple(map(_path, self.excludes))

    @classmethod
    def of(cls, value: object) -> Source:
        """Make a source with absolute paths from a table or its path, or from another source.

        Raises:
            InputError: it is none of these.
        """
        return (value if isinstance(value, Source) else cls(_table(value))).absolute

    @property
    def absolute(self) -> Source:
        """This source with absolute paths, which mean the same in every process."""
        return replace(
            self,
            table=_absolute_table(self.table),
            exclude=tuple(map(_absolute, self.excludes)),
            private=None if self.private is None else local_path(self.private).absolute(),
            ledger=None if self.ledger is None else self.ledger.absolute(),
        )


def _table(value: object) -> Paths | OutsideTable:
    if isinstance(value, list | tuple) and all(isinstance(one, LocationLike) for one in value):
        return tuple(value)
    return _one(value)


def _one(value: object) -> LocationLike | OutsideTable:
    return value if isinstance(value, LocationLike | OutsideTable) else Frame(value)


def _several(table: Paths | OutsideTable) -> tuple[LocationLike | OutsideTable, ...]:
    return (table,) if isinstance(table, OutsideTable) else several(table)


def _path(table: LocationLike | OutsideTable) -> LocationLike:
    if isinstance(table, OutsideTable):
        raise _no_file(table)
    return table


def _no_file(table: OutsideTable) -> InputError:
    return InputError(
        "the table is no file",
        file=str(table),
        remedy="Only a run reads it, when it starts; name a file or a folder here",
    )


def _absolute(table: LocationLike | OutsideTable) -> LocationLike | OutsideTable:
    return table if isinstance(table, OutsideTable) else absolute_location(table)


def _absolute_table(table: Paths | OutsideTable) -> Paths | OutsideTable:
    if isinstance(table, LocationLike | OutsideTable):
        return _absolute(table)
    return tuple(map(absolute_location, table))


def absolute_location(value: LocationLike) -> LocationLike:
    """Make a location that means the same in every process: an absolute path, or a URI's."""
    location = Location.of(value).absolute
    return location.local if location.is_local else location


def _named(path: str) -> str:
    """Name a path; text of many lines is a table that was given for one."""
    return "(a text with line breaks)" if "\\n" in path else path


def check_sources(sources: Mapping[str, Source]) -> None:
    """Check that the tables of all parties are there.

    Raises:
        InputError: one is not; names the party and the key of the configuration.
    """
    for role, source in sources.items():
        named = [
            *(("path", "table", path) for path in _several(source.table)),
            *(("exclude", "opt-out table", path) for path in source.excludes),
        ]
        for key, what, path in named:
            if isinstance(path, OutsideTable):
                path.check()
            elif not is_there(Location.of(path)):
                raise InputError(
                    f"the {role} party's {what} does not exist",
                    file=_named(shown(Location.of(path))),
                    remedy=f"Set data.{role}.{key}",
                )
