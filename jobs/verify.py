"""Check a finished release of three domains from its manifest and logs, without any secret.

xstat-ray verify release=out/federated
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.attestation_settings import pinned_aggregator
from xstat_ray.federation.identity import DOMAINS, KEY_BYTES, Domain
from xstat_ray.federation.verify import Report, verify
from xstat_ray.inputs.section import Section

_SIDES = ("rows", "columns")
"""Settings with the keys of several row parties, and of several column parties."""


def main(raw: dict[str, Any], origin: str) -> None:
    """Verify, and print the findings.

    Raises:
        InputError: no such release, or a key that is none.
        ProtocolError: something contradicts the release.
    """
    settings = Section(
        raw, key="", origin=origin, known=("release", *DOMAINS, *_SIDES, "attestation")
    )
    folder = settings.disk_path("release")
    pins = _pins(settings)
    report = verify(folder, pins, pinned_aggregator(settings))
    print(_text(report))
    if report.wrong:
        raise ProtocolError(f"the release in {folder} is not what it says")


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
