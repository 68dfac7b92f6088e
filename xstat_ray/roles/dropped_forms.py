"""Forms of what a party's intake dropped, for the party's record and terminal alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.inputs.forms import SHOWN, FormCounts, visible
from xstat_ray.util.secrecy import Secret


class DroppedForms(Secret):
    """Forms of the ids without a normal form, and of values outside the domains.

    They go to the party's record and terminal alone. Several threads may add to them.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        """Start without forms; `columns` are those of the dimensions."""
        self.ids = FormCounts()
        self._columns = list(dict.fromkeys(columns))
        self._values = {column: FormCounts() for column in self._columns}
        self._turn = threading.Lock()

    def empty(self) -> DroppedForms:
        """Return one without forms, for the same columns."""
        return DroppedForms(self._columns)

    def add_values(self, outside: Iterable[tuple[str, pa.Array, NDArray[np.int64]]]) -> None:
        """Take what `Encoder.outside` found."""
        for column, texts, number in outside:
            forms = FormCounts()
            forms.add(texts, number)
            with self._turn:
                self._values[column].count(forms.counted())

    def values(self) -> list[tuple[str, str, int]]:
        """List the commonest: column, form, and how often it occurs."""
        found = [
            (column, form, number)
            for column, forms in self._values.items()
            for form, number in forms.commonest()
        ]
        return sorted(found, key=lambda entry: -entry[2])[:SHOWN]

    def export(self) -> dict[str, list[Any]]:
        """Write down the commonest, as JSON can hold it; columns by number."""
        number = {column: place for place, column in enumerate(self._columns)}
        values = [(number[column], form, times) for column, form, times in self.values()]
        return {"ids": self.ids.commonest(), "values": values}

    def take(self, exported: Mapping[str, list[Any]]) -> None:
        """Add what `export` of another one gave."""
        self.ids.count(exported["ids"])
        for column, form, number in exported["values"]:
            self._values[self._columns[column]].count([(form, number)])

    def as_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return what the party's record shows, by the names of the reasons in `IntakeCounts`."""
        return {
            "invalid_id": [{"form": visible(f), "rows": n} for f, n in self.ids.commonest()],
            "outside_domain": [
                {"column": column, "form": visible(form), "rows": number}
                for column, form, number in self.values()
            ],
        }
