"""A run that begins again shows the aggregator a view that nothing links to the one before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.case import Case, counts, study
from xstat_ray.model.messages import Flags, Partial, Rows
from xstat_ray.roles import Aggregator
from xstat_ray.runtime.driver import Driver


class Crash(Exception):
    """Stands for the death of the process."""


def crash(*_: Any) -> None:
    raise Crash


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Rows, tuple[Flags, ...]]]:
    """Everything that the aggregator is given to join, in all runs."""
    given = list[tuple[Rows, tuple[Flags, ...]]]()
    join = Aggregator.join

    def spy(self: Aggregator, rows: Rows, *flags: Flags) -> Partial:
        given.append((rows, flags))
        return join(self, rows, *flags)

    monkeypatch.setattr(Aggregator, "join", spy)
    return given


@pytest.mark.parametrize("privacy", [{}, {"padding": "dp"}])
def test_a_run_that_begins_again_shows_other_tags_and_ciphertexts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seen: list[tuple[Rows, tuple[Flags, ...]]],
    privacy: dict[str, object],
) -> None:
    case = Case(tmp_path)
    case.write("row", {"id": [*"123456789"], "area": [*"ababababa"]})
    case.write("column", {"id": [*"13579"], "kind": [*"xyxyx"]})
    declared = study(privacy=privacy)
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Driver, "rerandomise", crash)
        case.run(declared)
    first = len(seen)
    release = case.run(declared)
    views = [seen[:first], seen[first:]]
    tags = [
        {bytes(tag) for rows, flags in view for m in (rows, *flags) for tag in m.tags}
        for view in views
    ]
    ciphertexts = [
        {bytes(c) for _, flags in view for m in flags for block in m.ciphertexts for c in block}
        for view in views
    ]
    assert not tags[0] & tags[1]
    assert not ciphertexts[0] & ciphertexts[1]
    names = [{m.view for rows, flags in view for m in (rows, *flags)} for view in views]
    assert [len(of_view) for of_view in names] == [1, 1] and names[0] != names[1]
    assert sum(counts(release).values()) == 5
