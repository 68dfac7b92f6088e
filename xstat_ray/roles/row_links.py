"""All links of the row party, one with each column party."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.crypto.derive import derive
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.row_opening import RowOpening

LINKS = "links"
"""Folder in the private folder with what links with all column parties but the first keep."""


class RowLinks(RowOpening):
    """The row party's end of the link with the first column party, which has those with others.

    What `Session` and `Link` do is called on each of `links`; replicas and resumed runs have all of
    them through this one.
    """

    def __init__(
        self, study: Study, source: Source | Path | str, *, seed: bytes | None = None
    ) -> None:
        first, *others = study.column_parties
        super().__init__(study, source, seed=seed, party=first.name)
        self._further = [self._link_with(terms.name) for terms in others]

    @property
    def links(self) -> tuple[RowLink, ...]:
        """This party's links with all column parties, in the order of the study.

        The first is the row party itself.
        """
        return (self, *self._further)

    def link(self, party: str) -> RowLink:
        """Find the link with a column party.

        Raises:
            ProtocolError: the study names no such party.
        """
        self._study.terms_of(party)
        return next(link for link in self.links if link.party == party)

    def _link_with(self, party: str) -> RowLink:
        seed = derive(self._seed, f"link with {party}", len(self._seed))
        return RowLink(self._study, self._source, seed=seed, party=party)

    def on_link(self, party: str, method: str, *args: Any) -> Any:
        """Call a method of the link with a column party, by its name."""
        return getattr(self.link(party), method)(*args)

    # Replicas, and runs that are resumed

    def _export(self) -> dict[str, bytes]:
        further = {_export_of(link): pack_fields(link._export()) for link in self._further}
        return super()._export() | further

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        for link in self._further:
            link._restore(unpack_fields(secrets[_export_of(link)]))

    def offer(self) -> bytes:
        """Make this object a replica; see `Session.offer`."""
        for link in self._further:
            link.offer()
        return super().offer()

    def save(self, folder: Path) -> None:
        """Write the secrets into the private folder, those of further links into folders in it.

        Those come first: whoever finds secrets in the folder finds all of them.
        """
        for link in self._further:
            link.save(folder / LINKS / link.party)
        super().save(folder)

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote."""
        super().load(folder)
        for link in self._further:
            link.load(folder / LINKS / link.party)


def _export_of(link: RowLink) -> str:
    """Name of what a further link exports."""
    return f"link with {link.party}"
