"""All links of a row party, one with each column party."""

from __future__ import annotations

from dataclasses import replace

from xstat_ray.roles.many_links import ManyLinks
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.row_opening import RowOpening
from xstat_ray.roles.seat import Seat


class RowLinks(ManyLinks[RowLink], RowOpening):
    """The row party's end of the link with the first column party, which has those with others."""

    def __init__(self, seat: Seat) -> None:
        first, *others = [terms.name for terms in seat.study.column_parties]
        super().__init__(replace(seat, party=first))
        self._further = {name: RowLink(seat.beside(party=name)) for name in others}

    def _named(self, party: str) -> str:
        return self._study.terms_of(party).name
