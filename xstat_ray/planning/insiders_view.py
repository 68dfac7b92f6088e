"""Tells, for people, what those who take part learn of a run."""

from __future__ import annotations

from collections.abc import Iterator

from xstat_ray.model.study import Study
from xstat_ray.planning.insiders import Insiders


def rows(study: Study, insiders: Insiders) -> Iterator[tuple[str, str]]:
    """Describe it in pairs of who and what.

    Args:
        study: what is counted.
        insiders: what the figures tell of one person. What else row parties and column parties
            learn is told where there are several row parties.
    """
    yield "Insiders", insiders.sentence()
    if study.row.parties:
        first, *others = (terms.name for terms in study.row.parties)
        several = len(study.column_parties) > 1
        have = "each column party has" if several else "the column party has"
        yield (
            "Row parties",
            f"{first} masks the table and reads its noisy figures, those that are withheld too; "
            f"{_listed(others)} the published ones; each learns roughly how many people {have}; "
            "none learns who is in another table, or where, nor what another row party counts",
        )
        yield (
            "Column parties" if several else "Column party",
            "roughly how many people each row party has; not whose customer anybody is, nor what "
            "one row party alone counts",
        )


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
