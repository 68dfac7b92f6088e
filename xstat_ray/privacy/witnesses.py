"""What is recorded of another party's ledger: the heads that it told, and which it must hold."""

from __future__ import annotations

from collections.abc import Iterable

from xstat_ray.privacy.history import Entry


def since_anew(entries: Iterable[Entry]) -> list[Entry]:
    """Witnesses since the other party's ledger last began anew, oldest first.

    Args:
        entries: the history of the other party's data set.
    """
    found = list[Entry]()
    for entry in entries:
        if entry.kind == "witness":
            found = [*found, entry] if entry.head else []
    return found


def must_hold(entries: Iterable[Entry]) -> dict[str, str]:
    """The heads that the other party's ledger must hold, each with the session that told it.

    A head stands for those that the ledger held when it was told (`Entry.note`), and for what was
    told before in its session; one without a session for all before it.

    Args:
        entries: the history of the other party's data set, oldest first.
    """
    heads: dict[str, str] = {}
    for entry in since_anew(entries):
        held = entry.note.split()
        heads = {
            head: session
            for head, session in heads.items()
            if entry.session and session != entry.session and head not in held
        }
        heads[entry.head] = entry.session
    return heads
