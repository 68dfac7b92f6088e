"""All links of a column party, one with each row party.

Each has a handshake, an ID exchange and a tag key of its own, so that nothing that one row party is
shown, or that the aggregator sees of one, can be found again with another.
"""

from __future__ import annotations

from xstat_ray.roles.column_opening import ColumnOpening
from xstat_ray.roles.link import Link
from xstat_ray.roles.many_links import ManyLinks
from xstat_ray.roles.seat import Seat


class ColumnLink(Link):
    """A column party's end of its link with one of the row parties."""

    role = "column"
    other = "row"


class ColumnLinks(ManyLinks[Link], ColumnOpening):
    """The column party's end of the link with the first row party, which has those with others."""

    role = "column"
    other = "row"

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        names = [terms.name for terms in seat.study.row_parties[1:]]
        self._further = {name: ColumnLink(seat.beside(row=name)) for name in names}

    def _named(self, party: str) -> str:
        return self._study.row_terms_of(party).name
