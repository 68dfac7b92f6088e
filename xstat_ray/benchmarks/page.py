"""Tables of records in a page of documentation, which are written between markers, never by hand.

The markers are `<!-- records: NAME -->` and `<!-- end of records -->`, with the name of the suite.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from xstat_ray.benchmarks.report import rounded
from xstat_ray.benchmarks.timing import SECONDS, Record
from xstat_ray.errors import InputError
from xstat_ray.util.files import unwritable, write_whole

_END = "<!-- end of records -->"
_CUT = re.compile(r"shards\.(\d+)\.workers\.(\d+)\.(\w+)")


def update(page: Path, suite: str, records: Sequence[Record], machine: str) -> None:
    """Replace what stands between the markers of a suite.

    Args:
        page: the page.
        suite: name of the suite.
        records: its records.
        machine: line about the machine that goes above the table.

    Raises:
        InputError: the page cannot be read or written, or has no such markers.
    """
    begin = f"<!-- records: {suite} -->"
    try:
        before, found, rest = page.read_text("utf-8").partition(begin)
        _, ended, after = rest.partition(_END)
        if not (found and ended):
            remedy = f"Write {begin} and {_END} where the table belongs"
            raise InputError(
                f"the page has no place for records of {suite}", file=str(page), remedy=remedy
            )
        content = f"{before}{begin}\n{machine}\n\n{table(records)}\n{_END}{after}"
        write_whole(page, content.encode())
    except OSError as error:
        raise unwritable(page, error) from None


def table(records: Sequence[Record]) -> str:
    """Write records in Markdown: cuts into shards side by side, the others line by line."""
    cuts = [record for record in records if _CUT.fullmatch(record.metric)]
    others = [record for record in records if not _CUT.fullmatch(record.metric)]
    return "\n\n".join(part for part in (_lines(others), _cuts(cuts)) if part)


def _lines(records: Sequence[Record]) -> str:
    if not records:
        return ""
    compared = any(record.ratio is not None for record in records)
    head = ["metric", "value", *(["beside", "ratio"] if compared else [])]
    rows = []
    for record in records:
        unit = f" {record.unit}" if record.unit else ""
        row = [f"`{record.metric.partition('.')[2]}`", f"{rounded(record.value)}{unit}"]
        if compared:
            row += [rounded(record.baseline), "" if record.ratio is None else f"{record.ratio:.3g}"]
        rows.append(row)
    return _markdown(head, rows)


def _cuts(records: Sequence[Record]) -> str:
    """Write a row for each number of workers and shards, and a column for each metric."""
    found: dict[tuple[int, int], dict[str, Record]] = {}
    for record in records:
        match = _CUT.fullmatch(record.metric)
        assert match is not None
        found.setdefault((int(match[2]), int(match[1])), {})[match[3]] = record
    if not found:
        return ""
    names = list(dict.fromkeys(name for by_name in found.values() for name in by_name))
    rows = [
        [str(workers), str(shards), *(rounded(by_name[name].value) for name in names)]
        for (workers, shards), by_name in found.items()
    ]
    units = {
        name: next(by_name[name].unit for by_name in found.values() if name in by_name)
        for name in names
    }
    heads = [
        f"{name.replace('_', ' ')}, s" if units[name] == SECONDS else name.replace("_", " ")
        for name in names
    ]
    return _markdown(["workers", "shards", *heads], rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
