"""Tells a party at its terminal what became of the rows of its table.

The figures are read from the record that the party has written into its private folder: whoever may
not read that file, such as the driver of a cluster where the environments of a party are somebody
else's, learns nothing. Forms of what was dropped are shown, never values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.roles.intake_record import INTAKE_RECORD
from xstat_ray.runtime.progress import Progress

_ROWS = [name for name in IntakeCounts().as_dict() if name not in ("rows", "persons", "kept")]
_WARNED = {
    "invalid_id": "have an id without a normal form",
    "outside_domain": "have a value that is in no list of the study",
}


def tell_intake(folder: Path, role: str, warn_above: Fraction, progress: Progress) -> None:
    """Show a party's figures, and warn of a good part of its rows that was dropped.

    Args:
        folder: the party's private folder.
        role: the party; its name, where there are several column parties.
        warn_above: share of the rows above which it is warned.
        progress: where it is shown.
    """
    path = folder / INTAKE_RECORD
    try:
        record = json.loads(path.read_bytes()) | {"party": role}
    except OSError:
        progress.note(f"What became of the {role} party's rows is in its own record, {path}.")
        return
    progress.note(_figures(record))
    if record["over_column_bound"]:
        progress.note(
            "over_column_bound are rows of a person beyond study.bounds.per_column in one column "
            "of the result; a larger bound counts them, with more noise."
        )
    for measure in record.get("measures", ()):
        progress.note(_values(measure))
    for warning in _warnings(record, warn_above):
        progress.warn(warning)


def _figures(record: Mapping[str, Any]) -> str:
    parts = [f"{record[name]:,} {name}" for name in ("kept", *_ROWS) if record[name]]
    entries = sum(listed["entries"] for listed in record["exclude"])
    lists = f"; {entries:,} entries of people to leave out" if record["exclude"] else ""
    return (
        f"Rows of the {record['party']} party: {record['rows']:,} read = "
        f"{' + '.join(parts)}, of {record['persons']:,} people{lists}."
    )


def _values(measure: Mapping[str, Any]) -> str:
    return (
        f"Values of {measure['name']}: {measure['missing']:,} missing, which count as the middle "
        f"of its bounds, and {measure['clipped']:,} outside of the bounds, which count as these."
    )


def _warnings(record: Mapping[str, Any], warn_above: Fraction) -> Iterator[str]:
    party = record["party"]
    for name, problem in _WARNED.items():
        if record["rows"] and Fraction(record[name], record["rows"]) > warn_above:
            yield (
                f"{record[name]:,} of the {record['rows']:,} rows of the {party} party "
                f"{problem} and are not counted. The commonest forms, with 9 for every digit and "
                f"a or A for every letter: {_forms(record['forms'][name])}."
            )
    for listed in record["exclude"]:
        if listed["unreadable"]:
            yield (
                f"{listed['unreadable']:,} of the {listed['entries']:,} entries of people whom "
                f"the {party} party leaves out have no normal form. Whoever they mean is counted "
                f"all the same (file {listed['file']})."
            )


def _forms(forms: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{form['column'] + ' ' if 'column' in form else ''}{form['form']!r} ({form['rows']:,})"
        for form in forms
    )
