"""Several row parties: one order of cells, and nothing is opened but what all consent to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import study
from tests.several import keys_at_hand
from xstat_ray.crypto.packing import Packing
from xstat_ray.errors import BudgetError, ProtocolError
from xstat_ray.inputs.source import Source
from xstat_ray.joint_opening import (
    HiddenTables,
    connect,
    consent,
    hide,
    meet,
    show_debits,
    tell_debits,
)
from xstat_ray.model.messages import JointApproval
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.protocol import agree, draw_noise
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.opening import joint_release_id

ROWS = ("north", "south", "west")
COLUMNS = ("jal", "hac")


class Parties(NamedTuple):
    """All parties with empty tables between them, none of it opened."""

    plan: Plan
    rows: Sequence[RowParty]
    columns: Sequence[ColumnParty]
    tables: HiddenTables
    ledgers: dict[str, Path]

    @property
    def packing(self) -> Packing:
        return self.plan.packing

    def approve(self) -> list[bytes]:
        tables = self.tables
        return self.rows[0].approve_tables(tables.plain, tables.masked, tables.receipts)

    def admit(self, approvals: Sequence[bytes], consents: Sequence[Sequence[bytes]]) -> list[bytes]:
        given = zip(self.columns, self.tables.masked, approvals, consents, strict=True)
        return [
            column.admit(table, approval, self.packing, *of_others)
            for column, table, approval, of_others in given
        ]

    def debited(self, name: str) -> list[str]:
        """Releases that a party's ledger has debited."""
        entries = Ledger(self.ledgers[name]).history(f"small/{name}")
        return [entry.release for entry in entries if entry.kind == "debit"]


def met(folder: Path, cap: int = 10) -> Parties:
    """Parties of a study of three row parties and two column parties."""
    declared = study(
        noise="laplace",
        bounds=None,
        privacy={"cap": cap},
        row={"parties": [{"name": name} for name in ROWS]},
        column={"parties": [{"name": name, "persons": 50} for name in COLUMNS]},
    )
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": ["1"]}), folder / "table.parquet")
    ledgers = {name: folder / f"{name}.sqlite" for name in (*ROWS, *COLUMNS)}
    sources = {name: Source(folder / "table.parquet", ledger=at) for name, at in ledgers.items()}
    rows = [RowParty(declared, sources[name], name=name) for name in ROWS]
    columns = [ColumnParty(declared, sources[name], party=name) for name in COLUMNS]
    plan = make_plan(declared, key_bits=2048)
    with keys_at_hand():
        publics = agree(plan, rows[0], columns)
    meet(rows, columns)
    connect(columns)
    draw_noise(plan, rows[0], columns[0])
    aggregators = [Aggregator(public, 1, plan.design.cells) for public in publics]
    shape = (plan.design.shown, plan.packing.blocks, publics[0].width)
    nothing = np.zeros(shape, np.uint8)
    nothing[..., 0] = 1
    tables = hide(plan, rows[0], aggregators, [nothing] * len(columns))
    return Parties(plan, rows, columns, tables, ledgers)


@pytest.fixture
def parties(tmp_path: Path) -> Parties:
    return met(tmp_path)


def test_all_send_their_rows_in_one_order_of_cells(parties: Parties) -> None:
    first, *others = [row._blinding().forward for row in parties.rows]
    assert all((other == first).all() for other in others)
    # It is not the first one's seed, with which it draws and seals other things.
    assert parties.rows[0]._seed not in {row._blinding_secret for row in parties.rows}


def test_each_party_debits_one_release_once(parties: Parties) -> None:
    approvals = parties.approve()
    for _ in range(2):
        consents = consent(parties.rows)
        permits = parties.admit(approvals, consents)
        tell_debits(parties.rows, parties.columns, permits)
    show_debits(parties.rows, parties.columns, approvals)
    debited = {name: parties.debited(name) for name in parties.ledgers}
    assert {len(of_party) for of_party in debited.values()} == {1}
    assert len(set(map(tuple, debited.values()))) == 1


def test_without_the_consent_of_all_nothing_is_opened(parties: Parties) -> None:
    approvals = parties.approve()
    consents = consent(parties.rows)
    wrong = [
        [[] for _ in consents],
        [of_column[:1] for of_column in consents],
        [of_column[::-1] for of_column in consents],
        consents[::-1],
        [
            [approval, *of_column[1:]]
            for approval, of_column in zip(approvals, consents, strict=True)
        ],
    ]
    for given in wrong:
        with pytest.raises(ProtocolError):
            parties.admit(approvals, given)
    assert [parties.debited(name) for name in COLUMNS] == [[], []]


def test_a_consent_to_another_release_is_refused(parties: Parties, tmp_path: Path) -> None:
    approvals = parties.approve()
    consents = consent(parties.rows)
    south = parties.rows[1].links[0]
    column = parties.columns[0].links[1]
    read = column._open("approval", consents[0][0], JointApproval)
    other = replace(read, commitment="00" * 32)
    given = [[south._seal("approval", other), consents[0][1]], consents[1]]
    with pytest.raises(ProtocolError, match="south consented to another release"):
        parties.admit(approvals, given)
    assert not parties.debited("jal")


def told(parties: Parties) -> JointApproval:
    """What the first row party approved, as the second reads it."""
    first, south, _ = parties.rows
    opened = south._row_channels["south"].open(first.tell_terms("south"), "terms")
    return JointApproval.decode(opened, parties.plan.study.digest)


def forged(parties: Parties, terms: JointApproval) -> bytes:
    """Other terms, sealed by the first row party for the second."""
    channel = parties.rows[0]._row_channels["south"]
    return channel.seal(terms.encode(parties.plan.study.digest), "terms")


def test_a_row_party_consents_to_its_own_sessions_alone(parties: Parties) -> None:
    parties.approve()
    terms = told(parties)
    sessions = terms.sessions.copy()
    sessions[:, 32:64] = sessions[::-1, 32:64]
    release = joint_release_id(sessions.tobytes(), terms.tables.tobytes())
    for wrong in (
        replace(terms, sessions=sessions, release=release),
        replace(terms, sessions=terms.sessions[:, :64]),
        replace(terms, release="00" * 16),
    ):
        with pytest.raises(ProtocolError, match="other sessions|other parties"):
            parties.rows[1].consent(forged(parties, wrong))
    assert not parties.debited("south")


def test_a_row_party_consents_to_one_release_of_a_session(parties: Parties) -> None:
    parties.approve()
    terms = told(parties)
    parties.rows[1].consent(forged(parties, terms))
    tables = terms.tables[::-1].copy()
    release = joint_release_id(terms.sessions.tobytes(), tables.tobytes())
    with pytest.raises(ProtocolError, match="another table was consented before"):
        parties.rows[1].consent(forged(parties, replace(terms, tables=tables, release=release)))
    assert parties.debited("south") == [terms.release]


def test_a_row_party_without_budget_consents_to_nothing(tmp_path: Path) -> None:
    parties = met(tmp_path, cap=1)
    south = parties.ledgers["south"]
    before = met(tmp_path / "before", cap=1)
    spent = before.rows[1]
    spent._source = replace(spent._source, ledger=south)
    before.approve()
    spent.consent(before.rows[0].tell_terms("south"))
    parties.approve()
    with pytest.raises(BudgetError):
        consent(parties.rows)
    assert [parties.debited(name) for name in COLUMNS] == [[], []]


def test_each_link_has_a_session_of_its_own(parties: Parties) -> None:
    sessions = {link.session() for row in parties.rows for link in row.links}
    assert len(sessions) == len(ROWS) * len(COLUMNS)
    for number, row in enumerate(parties.rows):
        of_columns = [column.links[number].session() for column in parties.columns]
        assert [link.session() for link in row.links] == of_columns


def test_a_row_party_is_not_taken_for_another(parties: Parties, tmp_path: Path) -> None:
    declared = parties.plan.study
    table = tmp_path / "table.parquet"
    south = RowParty(declared, table, name="south")
    column = ColumnParty(declared, table, party="jal")
    south.hello()
    with pytest.raises(ProtocolError, match="different studies"):
        south.agree(column.link("west").hello())
    with pytest.raises(ProtocolError, match="say which one"):
        RowParty(declared, table)
    with pytest.raises(ProtocolError, match="no row party 'east'"):
        RowParty(declared, table, name="east")


def test_a_resumed_run_knows_the_order_and_all_sessions(parties: Parties, tmp_path: Path) -> None:
    table = tmp_path / "table.parquet"
    for number, row in enumerate(parties.rows):
        row.save(tmp_path / f"private {number}")
        again = RowParty(parties.plan.study, table, name=row.row_party)
        again.load(tmp_path / f"private {number}")
        replica = RowParty(parties.plan.study, table, name=row.row_party)
        replica.accept(row.hand_over(replica.offer()))
        for other in (again, replica):
            assert other._blinding_secret == row._blinding_secret
            assert other._sessions == row._sessions
