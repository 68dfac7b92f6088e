"""The signed log of a domain: it goes on after a crash, and no change of it stays unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.audit import Entry, Log, read_log
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import Identity, Peers


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Path]:
    """A log of three lines, its identity and its path."""
    folder = tmp_path_factory.mktemp("log")
    identity = Identity.create(folder / "identity.pem")
    log = Log(folder / "log.jsonl", "row", identity)
    log.add("opened", run="first")
    log.add("sent", peer="column", message="abc")
    log.add("finished")
    log.close()
    return identity, folder / "log.jsonl"


def read(whole: tuple[Identity, Path], content: bytes | None = None) -> list[Entry]:
    identity, path = whole
    return read_log(
        path.read_bytes() if content is None else content, "row", Peers({"row": identity.public})
    )


def lines(whole: tuple[Identity, Path]) -> list[bytes]:
    return whole[1].read_bytes().splitlines()


def test_what_was_added_is_read(whole):
    entries = read(whole)
    assert [(e.number, e.event, e.facts) for e in entries] == [
        (0, "opened", {"run": "first"}),
        (1, "sent", {"peer": "column", "message": "abc"}),
        (2, "finished", {}),
    ]
    assert len({entry.previous for entry in entries}) == 3


def test_it_goes_on_where_it_ended(whole, tmp_path):
    identity, path = whole
    copy = tmp_path / "log.jsonl"
    copy.write_bytes(path.read_bytes())
    log = Log(copy, "row", identity)
    assert log.finished
    log.add("published")
    log.close()
    assert len(read(whole, copy.read_bytes())) == 4


@pytest.mark.parametrize("cut", [1, 40])
def test_a_line_that_a_crash_cut_off_is_taken_away(whole, tmp_path, cut):
    identity, path = whole
    copy = tmp_path / "log.jsonl"
    copy.write_bytes(path.read_bytes()[:-cut])
    log = Log(copy, "row", identity)
    assert [entry.event for entry in log.entries] == ["opened", "sent"] and not log.finished
    log.add("finished")
    log.close()
    assert [entry.event for entry in read(whole, copy.read_bytes())] == [
        "opened",
        "sent",
        "finished",
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lines: lines[1:], "does not follow"),
        (lambda lines: [lines[0], lines[2]], "does not follow"),
        (lambda lines: [lines[0], lines[2], lines[1]], "does not follow"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "does not follow"),
        (lambda lines: [*lines, lines[0]], "does not follow"),
        (lambda lines: [*lines, b""], "malformed"),
        (lambda lines: [lines[0] + b" ", *lines[1:]], "malformed"),
        (lambda lines: [b"[]"], "malformed"),
        (lambda lines: [b"[" * 100_000], "malformed"),
    ],
)
def test_lines_that_are_left_out_moved_or_repeated(whole, change, reason):
    with pytest.raises(ProtocolError, match=reason):
        read(whole, b"\n".join(change(lines(whole))) + b"\n")


OTHERS = {
    "number": 5,
    "at": "2000-01-01",
    "domain": "column",
    "event": "noise",
    "facts": {"peer": "row"},
    "previous": "1" * 64,
    "signature": "00" * 64,
}


@pytest.mark.parametrize("field", OTHERS)
def test_every_field_is_signed(whole, field):
    changed = canonical(json.loads(lines(whole)[1]) | {field: OTHERS[field]})
    with pytest.raises(ProtocolError, match="not signed"):
        read(whole, b"\n".join([lines(whole)[0], changed]) + b"\n")


@pytest.mark.parametrize("field", OTHERS)
def test_every_field_has_its_type(whole, field):
    changed = canonical(json.loads(lines(whole)[0]) | {field: None})
    with pytest.raises(ProtocolError, match="malformed"):
        read(whole, changed + b"\n")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_found(whole, place, difference):
    content = bytearray(whole[1].read_bytes())
    content[place % len(content)] ^= difference
    with pytest.raises(ProtocolError):
        read(whole, bytes(content))


def test_another_domains_log_or_key(whole, tmp_path):
    identity, path = whole
    with pytest.raises(ProtocolError, match="does not follow|not signed"):
        read_log(path.read_bytes(), "column", Peers({"column": identity.public}))
    other = Identity.create(tmp_path / "identity.pem")
    with pytest.raises(ProtocolError, match="not signed"):
        read_log(path.read_bytes(), "row", Peers({"row": other.public}))
    with pytest.raises(InputError, match="Restore it"):
        Log(path, "row", other)
