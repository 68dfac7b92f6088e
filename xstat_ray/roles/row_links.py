"""All links of a row party, one with each column party."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xstat_ray.crypto.derive import derive
from xstat_ray.errors import ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.roles.many_links import ManyLinks
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.row_opening import RowOpening


class RowLinks(ManyLinks, RowOpening):
    """The row party's end of the link with the first column party, which has those with others."""

    def __init__(
        self,
        study: Study,
        source: Source | Path | str,
        *,
        seed: bytes | None = None,
        name: str | None = None,
    ) -> None:
        """Take the study and remember where the table lies.

        Args:
            study: what all parties have agreed to count.
            source: this party's table and its ledger.
            seed: see `Link`.
            name: name of this party; needed where the study names several row parties.

        Raises:
            ProtocolError: the study names no such party, or several and none is given.
        """
        if name is None and study.row.parties:
            raise ProtocolError("the study names several row parties: say which one")
        first, *others = study.column_parties
        super().__init__(study, source, seed=seed, party=first.name, row=name)
        self._with_others = {terms.name: self._link_with(terms.name) for terms in others}

    @property
    def _further(self) -> Mapping[str, RowLink]:
        return self._with_others

    @property
    def links(self) -> tuple[RowLink, ...]:
        """This party's links with all column parties, in the order of the study.

        The first is the row party itself.
        """
        return (self, *self._further.values())

    def link(self, party: str) -> RowLink:
        """Find the link with a column party.

        Raises:
            ProtocolError: the study names no such party.
        """
        return self._further.get(self._study.terms_of(party).name, self)

    def _link_with(self, party: str) -> RowLink:
        seed = derive(self._seed, f"link with {party}", len(self._seed))
        return RowLink(self._study, self._source, seed=seed, party=party, row=self.row_party)
