"""Where a party's data lies: only paths; the party itself reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xstat_ray.errors import InputError
from xstat_ray.model.study import Role


@dataclass(frozen=True)
class Source:
    """One party's table, the people to leave out of it, and the party's own folder."""

    table: Path | str
    exclude: Path | str | Sequence[Path | str] = ()
    """A table of people to leave out, or several: who opted out, whose lines are not used."""
    private: Path | None = None
    """The party's own folder: its record of the intake, and its log."""
    skip_damaged: bool = False
    """Leave out those of the table's files that cannot be read, where others can."""

    @property
    def excludes(self) -> tuple[Path | str, ...]:
        """The tables of people to leave out."""
        return (self.exclude,) if isinstance(self.exclude, Path | str) else tuple(self.exclude)

    @classmethod
    def of(cls, value: Path | str | Source) -> Source:
        """From a path, or a source as it is; with absolute paths."""
        return (value if isinstance(value, Source) else cls(value)).absolute

    @property
    def absolute(self) -> Source:
        """The same files, wherever a process that reads them works."""
        return replace(
            self,
            table=Path(self.table).absolute(),
            exclude=tuple(Path(path).absolute() for path in self.excludes),
            private=None if self.private is None else self.private.absolute(),
        )


def check_sources(sources: Mapping[Role, Source]) -> None:
    """Whether the tables are there.

    Raises:
        InputError: one is not.
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
