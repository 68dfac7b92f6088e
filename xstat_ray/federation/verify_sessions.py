"""Checks of a finished release that its domains' logs are of the handshakes that it tells of."""

from __future__ import annotations

from collections.abc import Mapping

from xstat_ray.federation.identity import Domain
from xstat_ray.federation.verify_case import Case
from xstat_ray.roles.opening import joint_session, session_of_all


def is_one_handshake(case: Case) -> bool:
    """Whether all logs are of the handshake, or of those of several parties, of a release.

    The one that the row party, or the first, has with the aggregator stands for all. Each end of a
    handshake of two parties of a side has the same, too.
    """
    whole = case.manifest.get("session")
    told = {
        (name, str(entry.facts.get("peer", ""))): str(entry.facts.get("session"))
        for name in case.logs
        for entry in case.of(name, "session")
    }
    if not case.opens_jointly:
        return [*told.values()] == [whole] * len(case.logs)
    try:
        ends = _ends(case, _sessions(case))
    except ValueError:
        return False
    for leader, *others in (case.rows, case.columns):
        for name in others:
            ends |= {(leader, name): told.get((name, leader), "")}
            ends |= {(name, leader): told.get((leader, name), "")}
    return told == ends and whole == ends[case.publisher, "aggregator"]


def _sessions(case: Case) -> dict[tuple[Domain, Domain], str]:
    """The session of every row party with every column party, as the manifest tells them.

    Raises:
        ValueError: it tells them of other parties, or in another order.
    """
    told = case.manifest.get("sessions")
    named = told if case.rows != ("row",) else {"row": told}
    if not isinstance(named, Mapping) or (*named,) != (*case.rows,):
        raise ValueError
    found = dict[tuple[Domain, Domain], str]()
    for row, of_row in named.items():
        if not isinstance(of_row, Mapping) or [*of_row] != case.columns:
            raise ValueError
        found |= {(row, column): str(session) for column, session in of_row.items()}
    return found


def _ends(
    case: Case, sessions: Mapping[tuple[Domain, Domain], str]
) -> dict[tuple[Domain, Domain], str]:
    """The session that each party has with each of the other side, and with the aggregator.

    Raises:
        ValueError: a session is no hexadecimal number.
    """
    of_rows = {row: [sessions[row, column] for column in case.columns] for row in case.rows}
    of_columns = {column: [sessions[row, column] for row in case.rows] for column in case.columns}
    with_aggregator = {name: session_of_all(own) for name, own in {**of_rows, **of_columns}.items()}
    every = "".join(map("".join, of_columns.values()))
    with_aggregator[case.publisher] = joint_session(bytes.fromhex(every))
    ends = {**sessions, **{(column, row): told for (row, column), told in sessions.items()}}
    for name, session in with_aggregator.items():
        ends |= {(name, "aggregator"): session, ("aggregator", name): session}
    return ends
