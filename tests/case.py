"""A small study with its two tables, for tests of the job as one call in one process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xstat_ray import Options, Release, crosstab
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import Role, Study
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty
from xstat_ray.runtime.progress import Progress

Section = Mapping[str, object] | Iterable[tuple[str, object]]

KEY_BITS = 2048
ROWS = {"id": ["1", "2", "3", "4"], "area": ["a", "b", "a", "b"]}
COLUMNS = {"id": ["1", "2", "3", "9"], "kind": ["x", "y", "x", "y"]}
COUNTS = {("a", "x"): 2, ("a", "y"): 0, ("b", "x"): 0, ("b", "y"): 1}
HOURS = {"grain": "hour", "start": "2024-01-01", "end": "2024-01-03", "timezone": "Asia/Tokyo"}


def study(
    *,
    noise: str = "off",
    areas: Iterable[str] = ("a", "b"),
    row: Section = (),
    column: Section = (),
    privacy: Section = (),
    **fields: object,
) -> Study:
    """Make the study of these tables.

    Args:
        noise: its mechanism.
        areas: the row domain.
        row: further keys of the section `row`, as those below of theirs.
        column: keys of `column`.
        privacy: keys of `privacy`.
        fields: keys of the study itself.
    """
    return parse(
        {
            "study": {
                "name": "small",
                "row": {
                    "id": "id",
                    "dimensions": [{"name": "area", "values": list(areas)}],
                    **dict(row),
                },
                "column": {
                    "id": "id",
                    "dimensions": [{"name": "kind", "values": ["x", "y"]}],
                    **dict(column),
                },
                "bounds": {"persons": 2000},
                **fields,
            },
            "privacy": {"noise": noise, "epsilon": 1, "delta": "1e-9", **dict(privacy)},
        },
        origin="small.yaml",
    )


def use_key(key: PrivateKey, patch: Callable[[type, str, object], None] = setattr) -> None:
    """Have column parties use this key: to make one takes longer than the rest of a small run."""

    def generate_key(self: ColumnParty, bits: int, constant_time: bool = False) -> None:
        self._key = key

    patch(ColumnParty, "generate_key", generate_key)


class Case:
    """Two tables, a ledger and an output folder below one temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.ledger = folder / "ledger.sqlite"
        self.tables = {"row": folder / "rows.parquet", "column": folder / "columns.parquet"}
        self.write("row", ROWS)
        self.write("column", COLUMNS)

    def write(self, role: Role, columns: dict[str, list[Any]] | str | bytes) -> Path:
        """Replace a party's table: by columns, as Parquet; by text or bytes, as CSV."""
        if isinstance(columns, dict):
            pq.write_table(pa.table(columns), self.tables[role])
        else:
            self.tables[role] = self.tables[role].with_suffix(".csv")
            self.tables[role].write_bytes(columns.encode() if isinstance(columns, str) else columns)
        return self.tables[role]

    def source(self, table: Path | str | Source) -> Source:
        """A table with the case's ledger."""
        source = table if isinstance(table, Source) else Source(table)
        return replace(source, ledger=source.ledger or self.ledger)

    @property
    def sources(self) -> dict[Role, Source]:
        """Both tables with the case's ledger."""
        return {role: self.source(table) for role, table in self.tables.items()}

    def options(self, **changes: object) -> Options:
        """Options with small keys, which do not insist on noise."""
        return replace(Options(key_bits=KEY_BITS, shards=2, allow_no_noise=True), **changes)

    def run(
        self,
        study: Study,
        out: Path | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Release:
        """Release the study; `options` may name other tables, by role."""
        given = {role: options.pop(role, table) for role, table in self.tables.items()}
        return crosstab(
            study,
            **{role: self.source(table) for role, table in given.items()},
            out=out or self.out,
            options=self.options(**options),
            progress=progress,
        )

    def intake(self, role: Role) -> dict[str, int]:
        """Read a party's record of its table from the release's folder."""
        return json.loads((self.out / "parties" / role / "intake.json").read_text())

    def debits(self) -> Fraction:
        """Number of debited releases, as each costs an epsilon of one."""
        return Ledger(self.ledger).spent("small/row")

    def contents(self) -> dict[Path, bytes]:
        """Read all files of the output folder."""
        return {
            path.relative_to(self.out): path.read_bytes()
            for path in self.out.rglob("*")
            if path.is_file()
        }

    def published(self) -> set[str]:
        """List the names of the files of statistics."""
        return {path.name for path in self.out.glob("*") if path.name.startswith("statistics")}


def counts(release: Release) -> dict[tuple[str, str], int]:
    """Read what is published, by area and kind."""
    area, kind, noisy = (release.statistics[name].to_pylist() for name in ("area", "kind", "noisy"))
    return dict(zip(zip(area, kind, strict=True), noisy, strict=True))
