"""All links of a column party, one with each row party.

Each has a handshake, an ID exchange and a tag key of its own, so that nothing that one row party is
shown, or that the aggregator sees of one, can be found again with another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xstat_ray.crypto.derive import derive
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.roles.column_opening import ColumnOpening
from xstat_ray.roles.link import Link
from xstat_ray.roles.many_links import ManyLinks


class ColumnLink(Link):
    """A column party's end of its link with one of the row parties."""

    role = "column"
    other = "row"


class ColumnLinks(ManyLinks, ColumnOpening):
    """The column party's end of the link with the first row party, which has those with others."""

    role = "column"
    other = "row"

    def __init__(
        self,
        study: Study,
        source: Source | Path | str,
        *,
        seed: bytes | None = None,
        party: str | None = None,
    ) -> None:
        super().__init__(study, source, seed=seed, party=party)
        names = [terms.name for terms in study.row_parties[1:]]
        self._with_others = {name: self._link_with(name) for name in names}

    def _link_with(self, row: str) -> ColumnLink:
        seed = derive(self._seed, f"link with {row}", len(self._seed))
        return ColumnLink(self._study, self._source, seed=seed, party=self.party, row=row)

    @property
    def _further(self) -> Mapping[str, Link]:
        return self._with_others

    @property
    def links(self) -> tuple[Link, ...]:
        """This party's links with all row parties, in the order of the study.

        The first is the column party itself.
        """
        return (self, *self._further.values())

    def link(self, party: str) -> Link:
        """Find the link with a row party.

        Raises:
            ProtocolError: the study names no such party.
        """
        return self._further.get(self._study.row_terms_of(party).name, self)
