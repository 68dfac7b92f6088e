"""What a domain sends and accepts: once, in order, from whom it should be.

Attacks are files in the exchange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from xstat_ray.errors import MessageError, PendingError, ProtocolError
from xstat_ray.federation.audit import Log
from xstat_ray.federation.envelope import Header, open_message, seal
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import DOMAINS, Identity, Peers
from xstat_ray.federation.mailbox import Binding, Mailbox

BINDING = Binding("1" * 64, "2" * 64, "run")
SESSION = "3" * 64


class Pair:
    """Row and column party with their posts on one exchange.

    `post` opens one anew, as another process would.
    """

    def __init__(self, folder) -> None:
        self.folder = folder
        self.identities = {name: Identity.create(folder / f"{name}.pem") for name in DOMAINS}
        self.peers = Peers({name: identity.public for name, identity in self.identities.items()})
        self.exchange = Exchange.at(str(folder / "exchange"), "run")
        self.mailboxes = {}
        for name in ("row", "column"):
            self.mailbox(name).begin_session(SESSION)

    def mailbox(self, name, **changes) -> Mailbox:
        if name in self.mailboxes:
            self.mailboxes[name].log.close()
        self.mailboxes[name] = Mailbox(
            name,
            exchange=self.exchange,
            identity=self.identities[name],
            peers=self.peers,
            binding=replace(BINDING, **changes),
            log=Log(self.folder / f"{name}.jsonl", name, self.identities[name]),
            patience=0,
        )
        return self.mailboxes[name]

    def plant(self, sequence, payload=b"planted", identity=None, **changes):
        """Make a message from the row party to the column party, as an attacker might."""
        header = Header(
            "1" * 64, "2" * 64, "run", SESSION, "row", "column", sequence, "offer", 0, 1, 0, 0
        )
        data = seal(replace(header, **changes), payload, identity or self.identities["row"])
        self.exchange.put(f"row-column/{sequence:06d}.msg", data)

    def take(self, kind="offer", part=0, **changes):
        with self.mailbox("column", **changes).receiving("row", kind, part) as opened:
            return opened.payload

    def refused(self, reason, **changes):
        with pytest.raises(MessageError, match=reason) as caught:
            self.take(**changes)
        entry = list(self.mailboxes["column"].log.of("refused"))[-1]
        assert entry.facts["peer"] == "row" and entry.facts["reason"] == caught.value.reason
        assert not any(self.mailboxes["column"].log.of("received"))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def send(mailbox: Mailbox, payloads: Sequence[bytes], kind: str = "offer") -> None:
    for part, payload in enumerate(payloads):
        mailbox.send("column", kind, payload, part=part, parts=len(payloads))


def test_messages_come_in_order_and_are_the_same_again(pair):
    send(pair.mailboxes["row"], [b"a", b"b", b"c"])
    for _ in range(2):
        assert list(
            pair.mailbox("column").collect("row", "offer", lambda opened: opened.payload)
        ) == [b"a", b"b", b"c"]
    assert [e.facts["sequence"] for e in pair.mailboxes["column"].log.of("received")] == [0, 1, 2]


def test_a_missing_message_is_waited_for(pair):
    with pytest.raises(PendingError, match="has not come yet"):
        pair.take()
    pair.plant(1)
    with pytest.raises(PendingError):
        pair.take()
    pair.plant(0)
    assert pair.take() == b"planted"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"study": "4" * 64}, "another study"),
        ({"plan": "4" * 64}, "another plan"),
        ({"run": "before"}, "another run"),
        ({"session": "4" * 64}, "another handshake"),
        ({"session": ""}, "another handshake"),
        ({"kind": "choices"}, "is a choices message"),
        ({"part": 1, "parts": 2}, "part 1 and it is the turn of part 0"),
    ],
)
def test_a_message_of_something_else_is_refused_though_its_sender_signed_it(pair, changes, reason):
    pair.plant(0, **changes)
    pair.refused(reason)


def test_a_foreign_signature_is_refused(pair, tmp_path):
    pair.plant(0, identity=Identity.create(tmp_path / "stranger.pem"))
    pair.refused("not signed")
    pair.plant(0, identity=pair.identities["column"])
    pair.refused("not signed")


def test_a_replayed_duplicated_or_reordered_message_is_refused(pair):
    send(pair.mailboxes["row"], [b"a", b"b"])
    first, second = (pair.exchange.get(f"row-column/00000{n}.msg") for n in range(2))
    pair.exchange.put("row-column/000000.msg", second)
    pair.refused("in another's place")
    pair.exchange.put("row-column/000000.msg", first)
    assert pair.take() == b"a"
    pair.exchange.put("row-column/000001.msg", first)
    with pytest.raises(MessageError, match="in another's place"):
        pair.take(part=1)


def test_a_truncated_message_is_refused(pair):
    send(pair.mailboxes["row"], [b"payload"])
    pair.exchange.put("row-column/000000.msg", pair.exchange.get("row-column/000000.msg")[:-1])
    pair.refused("payload has 6 bytes instead of 7")


def test_parts_must_agree_on_their_number(pair):
    pair.plant(0, part=0, parts=3)
    pair.plant(1, part=1, parts=2)
    with pytest.raises(MessageError, match="there are 2 of its kind, not 3"):
        list(pair.mailbox("column").collect("row", "offer", lambda opened: opened.payload))


def test_what_was_accepted_cannot_be_exchanged_afterwards(pair):
    """Not even by its sender, who signs both."""
    pair.plant(0, b"first")
    assert pair.take() == b"first"
    pair.plant(0, b"second")
    with pytest.raises(MessageError, match="not the one that was accepted before"):
        pair.take()


def test_a_message_that_its_reader_refuses_is_not_accepted(pair):
    pair.plant(0)
    mailbox = pair.mailbox("column")
    expected = pytest.raises(
        MessageError, match=r"row-column/000000.msg is refused: row 3 is the identity"
    )
    with expected, mailbox.receiving("row", "offer"):
        raise ProtocolError("row 3 is the identity")
    assert not any(mailbox.log.of("received")) and any(mailbox.log.of("refused"))


def test_any_other_failure_of_its_reader_leaves_it_for_the_next_time(pair):
    pair.plant(0)
    mailbox = pair.mailbox("column")
    with pytest.raises(ZeroDivisionError), mailbox.receiving("row", "offer"):
        1 / 0
    assert not any(mailbox.log.of("received")) and not any(mailbox.log.of("refused"))
    assert pair.take() == b"planted"


# Sending


def test_a_message_is_sent_once(pair):
    mailbox = pair.mailboxes["row"]
    mailbox.send("column", "offer", b"first")
    mailbox.send("column", "offer", b"second")
    pair.mailbox("row").send("column", "offer", lambda: pytest.fail("it must not be made again"))
    assert pair.take() == b"first"


def test_what_went_out_before_the_log_could_say_so_stays(pair):
    """The process is killed between the two."""
    pair.plant(0, b"gone out")
    mailbox = pair.mailbox("row")
    assert mailbox.has_sent("column", "offer")
    mailbox.send("column", "offer", b"drawn anew")
    assert pair.take() == b"gone out"
    sent, received = (
        next(pair.mailboxes[n].log.of(e)).facts
        for n, e in (("row", "sent"), ("column", "received"))
    )
    assert sent["message"] == received["message"]


@pytest.mark.parametrize(
    "changes", [{"session": "4" * 64}, {"kind": "choices"}, {"study": "4" * 64}]
)
def test_what_is_not_this_message_is_not_taken_for_it(pair, changes):
    pair.plant(0, **changes)
    mailbox = pair.mailbox("row")
    assert not mailbox.has_sent("column", "offer")
    mailbox.send("column", "offer", b"mine")
    assert pair.take() == b"mine"


def test_a_strangers_file_in_the_way_is_replaced(pair, tmp_path):
    pair.plant(0, identity=Identity.create(tmp_path / "stranger.pem"))
    pair.mailbox("row").send("column", "offer", b"mine")
    assert pair.take() == b"mine"


def test_unsent_parts(pair):
    mailbox = pair.mailboxes["row"]
    assert mailbox.unsent("column", "offer", 3) == range(3)
    for part in range(2):
        mailbox.send("column", "offer", b"", part=part, parts=3)
    pair.plant(2, b"", part=2, parts=3)
    assert pair.mailbox("row").unsent("column", "offer", 3) == range(3, 3)


def test_a_session_begins_once(pair):
    pair.mailboxes["row"].begin_session(SESSION)
    with pytest.raises(ProtocolError, match="hellos are not those"):
        pair.mailboxes["row"].begin_session("4" * 64)
    assert pair.mailbox("row").session_with("column") == SESSION


def test_a_hello_belongs_to_no_session(pair):
    pair.mailboxes["row"].send("column", "hello", b"")
    data = pair.exchange.get("row-column/000000.msg")
    assert open_message(data, "row-column/000000.msg", pair.peers).header.session == ""
    assert pair.take("hello") == b""


def test_a_hello_with_a_session_is_refused(pair):
    pair.plant(0, kind="hello")
    pair.refused("another handshake", kind="hello")


def test_logs_are_read_where_they_are_published(pair):
    with pytest.raises(PendingError, match="column domain has not sent"):
        pair.mailboxes["row"].log_with("column", "sent")
    pair.mailboxes["column"].publish_log()
    with pytest.raises(PendingError, match="column domain has not sent"):
        pair.mailboxes["row"].log_with("column", "sent")
    pair.mailboxes["column"].send("row", "hello", b"")
    pair.mailboxes["column"].publish_log()
    content = pair.mailboxes["column"].log.content()
    assert pair.mailboxes["row"].log_with("column", "sent") == content
    pair.mailboxes["column"]._exchange.put("logs/column.jsonl", content[:-1])
    with pytest.raises(ProtocolError, match="cut off"):
        pair.mailboxes["row"].log_with("column", "sent")
