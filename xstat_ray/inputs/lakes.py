"""Tables of lakes, at one version: Delta and Iceberg, read by the packages of their makers.

These apply what a file alone does not show: rows that were deleted, columns that were renamed or
added, values of partitions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from xstat_ray.errors import InputError
from xstat_ray.inputs.lake_stores import LakeStore
from xstat_ray.inputs.outside import Opened, OutsideTable, extra

_METADATA = ".metadata.json"
_HINT = "version-hint.text"


@dataclass(frozen=True)
class Delta(OutsideTable):
    """A Delta table."""

    path: Path | str
    """Its folder, which holds `_delta_log`; or a URI such as `s3://bucket/table`."""
    version: int | None = None
    """Number of the version; None is the newest when a run starts."""

    def __str__(self) -> str:
        return f"{LakeStore.of(self.path).uri} (Delta)"

    def check(self) -> None:
        """Check that the package is there.

        Raises:
            InputError: it is not.
        """
        LakeStore.of(self.path)
        self._package()

    def identity(self) -> str:
        """Name the path and the version."""
        return f"delta {self.path} {self.version}"

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Open the version; the newest is looked up here, once."""
        place = LakeStore.of(self.path)
        table = self._package().DeltaTable(
            place.uri, version=self.version, storage_options=place.for_delta or None
        )
        columns = [field.name for field in table.schema().fields]
        yield Opened(
            columns,
            lambda wanted: pa.RecordBatchReader.from_stream(table.scan(columns=list(wanted))),
            f"delta-version-{table.version()}",
        )

    def explain(self, error: Exception) -> InputError:
        """Tell which step failed."""
        kind = type(error).__name__
        if kind == "TableNotFoundError":
            return InputError(
                "there is no Delta table",
                file=LakeStore.of(self.path).uri,
                remedy="Name the folder that holds _delta_log",
            )
        which = "the newest version" if self.version is None else f"version {self.version}"
        return InputError(
            f"{which} of the Delta table cannot be read ({kind})",
            file=LakeStore.of(self.path).uri,
            remedy="Check that the version is in the table's log and its files were not vacuumed, "
            "and that a newer deltalake does not read it either",
        )

    @staticmethod
    def _package() -> Any:
        return extra("deltalake", "delta", "a Delta table")


@dataclass(frozen=True)
class Iceberg(OutsideTable):
    """An Iceberg table."""

    table: Path | str
    """`CATALOG.NAMESPACE.TABLE`, with a catalog of pyiceberg's own configuration; or the table's
    metadata file (`.metadata.json`), or its folder where that has a `version-hint.text`."""
    snapshot: int | None = None
    """Id of the snapshot; None is the current one when a run starts."""

    def __str__(self) -> str:
        return f"{LakeStore.of(self.table).uri} (Iceberg)"

    def check(self) -> None:
        """Check that the package is there, and that it is told which metadata is meant.

        Raises:
            InputError: it is not.
        """
        LakeStore.of(self.table)
        extra("pyiceberg", "iceberg", "an Iceberg table")
        if self._is_catalogued or str(self.table).endswith(_METADATA) or "://" in str(self.table):
            return
        if not (Path(self.table) / "metadata" / _HINT).exists():
            raise InputError(
                "the folder does not tell which metadata of the Iceberg table is current",
                file=LakeStore.of(self.table).uri,
                remedy=f"Name the newest *{_METADATA}, or CATALOG.NAMESPACE.TABLE",
            )

    def identity(self) -> str:
        """Name the table and the snapshot."""
        return f"iceberg {self.table} {self.snapshot}"

    @contextmanager
    def open(self) -> Iterator[Opened]:
        """Open the snapshot; the current one is looked up here, once."""
        table = self._load()
        current = table.current_snapshot()
        snapshot = current and current.snapshot_id if self.snapshot is None else self.snapshot
        # Without an id the columns are those of today, also where the newest rows are older.
        at: dict[str, Any] = {} if self.snapshot is None else {"snapshot_id": self.snapshot}
        columns = [field.name for field in table.scan(**at).projection().fields]
        yield Opened(
            columns,
            lambda wanted: table.scan(**at, selected_fields=tuple(wanted)).to_arrow_batch_reader(),
            f"iceberg-snapshot-{snapshot}",
        )

    def explain(self, error: Exception) -> InputError:
        """Tell which step failed."""
        kind = type(error).__name__
        if kind in ("NoSuchTableError", "NoSuchNamespaceError", "FileNotFoundError"):
            return InputError(
                "there is no Iceberg table, or a file of it is gone",
                file=LakeStore.of(self.table).uri,
                remedy="Check the name, or the path of its metadata",
            )
        if kind == "NotImplementedError" or "equality deletes" in str(error):
            return InputError(
                "the Iceberg table has deletes that pyiceberg does not apply",
                file=LakeStore.of(self.table).uri,
                remedy="Rewrite its data files (rewrite_data_files), or name an older snapshot",
            )
        which = "the current" if self.snapshot is None else f"the named ({self.snapshot})"
        return InputError(
            f"{which} snapshot of the Iceberg table cannot be read ({kind})",
            file=LakeStore.of(self.table).uri,
            remedy="Check that the table has that snapshot, and that pyiceberg knows the catalog "
            "(~/.pyiceberg.yaml, or variables PYICEBERG_CATALOG__...)",
        )

    @property
    def _is_catalogued(self) -> bool:
        return (
            isinstance(self.table, str)
            and re.fullmatch(r"\w+(\.\w+){2,}", self.table) is not None
            and not self.table.endswith(_METADATA)
        )

    def _load(self) -> Any:
        if self._is_catalogued:
            catalog, _, name = str(self.table).partition(".")
            return (
                extra("pyiceberg.catalog", "iceberg", "a catalog")
                .load_catalog(catalog)
                .load_table(name)
            )
        tables = extra("pyiceberg.table", "iceberg", "an Iceberg table")
        place = LakeStore.of(self.table)
        return tables.StaticTable.from_metadata(place.uri, properties=place.for_iceberg)
