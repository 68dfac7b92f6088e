"""Check a finished release from its files and, of several domains, its logs, without any secret.

xstat-ray verify release=out/federated
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.attestation_settings import pinned_aggregator
from xstat_ray.federation.identity import DOMAINS, KEY_BYTES, Domain
from xstat_ray.federation.verify import Report, verify
from xstat_ray.inputs.section import Section
from xstat_ray.privacy.places import Place, place_of

_SIDES = ("rows", "columns")
"""Settings with the keys of several row parties, and of several column parties."""


def main(raw: dict[str, Any], origin: str) -> None:
    """Verify, and print the findings.

    Raises:
        InputError: no such release or ledger, or a key that is none.
        ProtocolError: something contradicts the release.
    """
    settings = Section(
        raw, key="", origin=origin, known=("release", "ledger", *DOMAINS, *_SIDES, "attestation")
    )
    folder = settings.disk_path("release")
    pins = _pins(settings)
    report = verify(folder, pins, pinned_aggregator(settings), _ledgers(settings))
    print(_text(report))
    if report.wrong:
        raise ProtocolError(f"the release in {folder} is not what it says")


def _ledgers(settings: Section) -> list[Place]:
    """The budget ledgers that are given; none is made where there is none."""
    places = [place_of(text) for text in settings.texts("ledger")]
    for place in places:
        if not place.exists():
            remedy = "Name the budget file of a party of the release, or leave it out"
            raise InputError("there is no ledger", file=str(place), key="ledger", remedy=remedy)
    return places


def _pins(settings: Section) -> dict[Domain, bytes]:
    """The public keys that are given; those of several parties of a side by their names."""
    pins = {
        domain: _key(settings, domain) for domain in DOMAINS if settings.get(domain) is not None
    }
    for side in _SIDES:
        named = settings.get(side)
        names = [str(name) for name in named] if isinstance(named, Mapping) else []
        parties = settings.at(named or {}, side, names)
        pins |= {str(name): _key(parties, str(name)) for name in parties.raw}
    return pins


def _key(settings: Section, domain: Domain) -> bytes:
    """The public key of a domain."""
    try:
        key = bytes.fromhex(settings.text(domain))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        remedy = "Write 64 hexadecimal digits"
        raise settings.error(f"{domain} is not a public key", domain, remedy=remedy)
    return key


def _text(report: Report) -> str:
    parts = [("WRONG", report.wrong), ("Shown", report.shown), ("Not shown", report.not_shown)]
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"- {line}" for line in lines)])
        for title, lines in parts
        if lines
    )


if __name__ == "__main__":
    run("verify", main)
