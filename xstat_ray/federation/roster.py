"""The domains of a run: row parties and column parties by their names in the study, aggregator."""

from __future__ import annotations

from xstat_ray.federation.identity import Domain
from xstat_ray.model.study import Role, Study


def rows_of(study: Study) -> tuple[Domain, ...]:
    """List the row parties, in the order of the study; the only one is called `row`."""
    return tuple(terms.name for terms in study.row_parties)


def columns_of(study: Study) -> tuple[Domain, ...]:
    """List the column parties, in the order of the study; the only one is called `column`."""
    return tuple(terms.name for terms in study.column_parties)


def domains_of(study: Study) -> tuple[Domain, ...]:
    """List all domains of a run."""
    return (*rows_of(study), *columns_of(study), "aggregator")


def sharers_of(study: Study) -> dict[Role, Domain]:
    """Tell which parties draw the noise together: the first row party and column party."""
    return {"row": publisher_of(study), "column": columns_of(study)[0]}


def publisher_of(study: Study) -> Domain:
    """Name the row party that masks, un-blinds and publishes the table: the first."""
    return rows_of(study)[0]
