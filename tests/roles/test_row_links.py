"""The row party's links: each with one column party, and with nothing in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.several import Several, several
from xstat_ray.errors import ProtocolError
from xstat_ray.protocol import exchange_persons
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.row_link import RowLink


@pytest.fixture(scope="module")
def made() -> Several:
    return several(2, 1.0)


def parties(made: Several, folder: Path) -> tuple[RowParty, list[ColumnParty]]:
    paths = made.write(folder)
    columns = [ColumnParty(made.study, paths[name], party=name) for name in made.flags]
    return RowParty(made.study, paths["row"]), columns


def shake(link: RowLink, column: ColumnParty) -> None:
    hello = link.hello()
    confirmation = link.agree(column.hello())
    link.confirm(column.agree(hello))
    column.confirm(confirmation)


def test_a_column_party_is_not_taken_for_another(made: Several, tmp_path: Path) -> None:
    row, (first, second) = parties(made, tmp_path)
    with pytest.raises(ProtocolError, match="different studies"):
        shake(row.link("jal"), second)
    row, _ = parties(made, tmp_path)
    with pytest.raises(ProtocolError, match="different studies"):
        shake(row.link("hac"), first)


def test_links_have_no_key_in_common(made: Several, tmp_path: Path) -> None:
    row, columns = parties(made, tmp_path)
    for link, column in zip(row.links, columns, strict=True):
        shake(link, column)
    exchange_persons(row, columns)
    assert row.links[0] is row and [link.party for link in row.links] == ["jal", "hac"]
    for what in ("salt", "tag_key", "view"):
        assert len({getattr(link._agreed, what) for link in row.links}) == 2
    first, second = ({key.tobytes() for key in link._exchange.person_keys} for link in row.links)
    assert len(first) == len(second) > 50 and not first & second
    for link, column in zip(row.links, columns, strict=True):
        keys = {key.tobytes() for key in column._exchange.person_keys}
        assert len(keys & {key.tobytes() for key in link._exchange.person_keys}) > 40


def test_a_party_that_is_not_named_has_no_link(made: Several, tmp_path: Path) -> None:
    row, _ = parties(made, tmp_path)
    with pytest.raises(ProtocolError, match="no column party 'ana'"):
        row.link("ana")
    with pytest.raises(ProtocolError, match="say which one"):
        ColumnParty(made.study, tmp_path / "jal.parquet")


def test_a_resumed_run_has_all_links(made: Several, tmp_path: Path) -> None:
    row, columns = parties(made, tmp_path)
    for link, column in zip(row.links, columns, strict=True):
        shake(link, column)
    row.save(tmp_path / "private")
    again = RowParty(made.study, tmp_path / "row.parquet")
    again.load(tmp_path / "private")
    replica = RowParty(made.study, tmp_path / "row.parquet")
    replica.accept(row.hand_over(replica.offer()))
    sessions = [link.session() for link in row.links]
    assert [link.session() for link in again.links] == sessions
    assert [link.session() for link in replica.links] == sessions
