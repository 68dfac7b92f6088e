"""A party that has links with several parties of the other side."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.roles.link import Link

LINKS = "links"
"""Folder in the private folder with what links with all parties but the first keep."""
LinkT_co = TypeVar("LinkT_co", bound=Link, covariant=True)


class ManyLinks(Link, Generic[LinkT_co]):
    """The party's end of the link with the first party of the other side, which has those beside.

    What `Session` and `Link` do is called on each link; replicas and resumed runs have all of them
    through this one.
    """

    _further: Mapping[str, LinkT_co]
    """The links with all parties of the other side but the first, by their names."""

    @property
    def links(self) -> tuple[LinkT_co, ...]:
        """This party's links with all parties of the other side, in the order of the study.

        The first is the party itself.
        """
        return (cast(LinkT_co, self), *self._further.values())

    def link(self, party: str) -> LinkT_co:
        """Find the link with a party of the other side.

        Raises:
            ProtocolError: the study names no such party.
        """
        return self._further.get(self._named(party), cast(LinkT_co, self))

    @abstractmethod
    def _named(self, party: str) -> str:
        """The name by which the study has a party of the other side.

        Raises:
            ProtocolError: it has none.
        """

    def on_link(self, party: str, method: str, *args: Any) -> Any:
        """Call a method of the link with a party of the other side, by its name."""
        return getattr(self.link(party), method)(*args)

    # Replicas, and runs that are resumed

    def _export(self) -> dict[str, bytes]:
        further = {
            _export_of(name): pack_fields(link._export()) for name, link in self._further.items()
        }
        return super()._export() | further

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        for name, link in self._further.items():
            link._restore(unpack_fields(secrets[_export_of(name)]))

    def offer(self) -> bytes:
        """Make this object a replica; see `Session.offer`."""
        for link in self._further.values():
            link.offer()
        return super().offer()

    def save(self, folder: Path) -> None:
        """Write the secrets into the private folder, those of further links into folders in it.

        Those come first: whoever finds secrets in the folder finds all of them.
        """
        for name, link in self._further.items():
            link.save(folder / LINKS / name)
        super().save(folder)

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote."""
        super().load(folder)
        for name, link in self._further.items():
            link.load(folder / LINKS / name)


def _export_of(party: str) -> str:
    """Name of what a further link exports."""
    return f"link with {party}"
