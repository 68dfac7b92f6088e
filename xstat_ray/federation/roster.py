"""The domains of a run: row party, column parties by their names in the study, and aggregator."""

from __future__ import annotations

from xstat_ray.federation.identity import Domain
from xstat_ray.model.study import Role, Study


def columns_of(study: Study) -> tuple[Domain, ...]:
    """List the column parties, in the order of the study."""
    return tuple(terms.name for terms in study.column_parties)


def domains_of(study: Study) -> tuple[Domain, ...]:
    """List all domains of a run."""
    return ("row", *columns_of(study), "aggregator")


def sharers_of(study: Study) -> dict[Role, Domain]:
    """Tell which parties draw the noise together: the row party and the first column party."""
    return {"row": "row", "column": columns_of(study)[0]}


def is_several(study: Study) -> bool:
    """Whether the study names its column parties, which have links and keys of their own."""
    return len(columns_of(study)) > 1
