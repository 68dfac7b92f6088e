"""Sources of a party's data. They hold paths alone; the party reads what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xstat_ray.errors import InputError
from xstat_ray.model.study import Role
from xstat_ray.privacy.places import Place

DEFAULT_LEDGER = Path(".xstat-ray/ledger.sqlite")
"""Budget file of both parties where they are on one machine and name no other."""


@dataclass(frozen=True)
class Source:
    """One party's table, the people to leave out of it, and the party's private folder."""

    table: Path | str
    """Parquet, Arrow or CSV: a file, or a folder of files of one format."""
    exclude: Path | str | Sequence[Path | str] = ()
    """Tables of the ids of people to leave out, such as people who opted out and telephone lines
    that nobody uses."""
    private: Path | None = None
    """Folder for the party's record of the intake and for its log; None keeps neither."""
    ledger: Place | None = None
    """The party's own ledger, a file or a database. None: `DEFAULT_LEDGER` of the folder in which a
    local run starts."""
    skip_damaged: bool = False
    """Leave out files of the table that cannot be read, as long as some can."""

    @property
    def excludes(self) -> tuple[Path | str, ...]:
        """The tables of people to leave out, one after the other."""
        return (self.exclude,) if isinstance(self.exclude, Path | str) else tuple(self.exclude)

    @classmethod
    def of(cls, value: Path | str | Source) -> Source:
        """Make a source with absolute paths from the path of a table, or from another source."""
        return (value if isinstance(value, Source) else cls(value)).absolute

    @property
    def absolute(self) -> Source:
        """This source with absolute paths, which mean the same in every process."""
        return replace(
            self,
            table=Path(self.table).absolute(),
            exclude=tuple(Path(path).absolute() for path in self.excludes),
            private=None if self.private is None else self.private.absolute(),
            ledger=None if self.ledger is None else self.ledger.absolute(),
        )


def check_sources(sources: Mapping[Role, Source]) -> None:
    """Check that the tables of all parties are there.

    Raises:
        InputError: one is not; names the party and the key of the configuration.
    """
    for role, source in sources.items():
        named = [
            ("path", "table", source.table),
            *(("exclude", "opt-out table", path) for path in source.excludes),
        ]
        for key, what, path in named:
            if not Path(path).exists():
                raise InputError(
                    f"the {role} party's {what} does not exist",
                    file=str(path),
                    remedy=f"Set data.{role}.{key}",
                )
