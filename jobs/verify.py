"""Checks a finished release of three domains from its manifest and logs, without any secret.

python -m jobs.verify out/federated
"""

from __future__ import annotations

from pathlib import Path

from jobs._words import run
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.identity import DOMAINS, KEY_BYTES, Domain
from xstat_ray.federation.verify import Report, verify

HELP = """python -m jobs.verify FOLDER [row=KEY] [column=KEY] [aggregator=KEY]

Checks the release in FOLDER: its files, its manifest and the signed logs of the three domains in its folder audit/.
Says in words what they show and what they do not. Keys are the domains' public keys, 64 hexadecimal digits, as you know
them; one that is not given is taken from the manifest.

Exit codes: 0 everything agrees, 1 something does not, 2 bad input."""


def main(folder: str, *arguments: str) -> None:
    """Verify, and print the findings.

    Raises:
        InputError: no such release, or a key that is none.
        ProtocolError: something contradicts the release.
    """
    report = verify(Path(folder), dict(_pin(argument) for argument in arguments))
    print(_text(report))
    if report.wrong:
        raise ProtocolError(f"the release in {folder} is not what it says")


def _pin(argument: str) -> tuple[Domain, bytes]:
    name, _, text = argument.partition("=")
    known = next((domain for domain in DOMAINS if domain == name), None)
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if known is None or len(key) != KEY_BYTES:
        raise InputError(
            f"{argument!r} names no key",
            remedy="Write row=, column= or aggregator= and 64 hexadecimal digits",
        )
    return known, key


def _text(report: Report) -> str:
    parts = [("WRONG", report.wrong), ("Shown", report.shown), ("Not shown", report.not_shown)]
    return "\n\n".join(
        "\n".join([f"{title}:", *(f"- {line}" for line in lines)])
        for title, lines in parts
        if lines
    )


if __name__ == "__main__":
    run(HELP, main)
