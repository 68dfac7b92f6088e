"""A sender makes the receiver take much more memory than a message has bytes.

Measured is the most memory that this process held while it received the message, from the file in
the exchange to the refusal.
"""

from __future__ import annotations

import gc
import gzip
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.federation.test_mailbox import Pair
from tests.model.test_messages import STUDY, framed, rewritten
from tests.sizes import every_other, thorough
from xstat_ray.errors import MessageError
from xstat_ray.federation import sealed
from xstat_ray.federation.sealed import SEALED
from xstat_ray.model.messages import Choices

ONE = Choices(np.zeros((1, 32), np.uint8))
SIZE = 48 << 20
"""Bytes of an oversized message: so many come from the system and go back to it at once."""
SMALL = 1 << 20
MOST = 4
_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@pytest.fixture(autouse=True)
def measurable() -> None:
    try:
        _RESET.write_text("5")
    except OSError:
        pytest.skip("this system does not tell the most memory that a process has held")


def kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def most_memory(work: Callable[[], object]) -> int:
    """Bytes of memory that this process held during `work`, at most, beyond those before."""
    gc.collect()
    _RESET.write_text("5")
    before = kilobytes("VmRSS")
    work()
    return (kilobytes("VmHWM") - before) << 10


def parquet_bomb() -> bytes:
    """A table of six million equal points, as version 1 of the format had it: 40 kB."""
    one = pa.array([bytes(32)], pa.binary(32))
    points = pa.DictionaryArray.from_arrays(pa.array(np.zeros(6_000_000, np.int8)), one)
    sink = io.BytesIO()
    pq.write_table(pa.table({"points": points}), sink, compression="zstd", use_dictionary=True)
    return sink.getvalue()


PAYLOADS = {
    "points that the header does not claim": lambda: rewritten(ONE, bytes(SIZE)),
    "points that are not there": lambda: rewritten(ONE, bytes(SIZE), rows=1 << 40),
    "a header of the message's size": lambda: framed(b"[" * SIZE),
    "nothing": lambda: bytes(SIZE),
    "compressed": lambda: gzip.compress(bytes(SIZE), 1) + bytes(SMALL),
    "Parquet": lambda: parquet_bomb() + bytes(SMALL),
}


def receive(pair: Pair, kind: str) -> None:
    """Receive a message as choices; it must be refused."""
    mailbox = pair.mailbox("column")
    with pytest.raises(MessageError), mailbox.receiving("row", kind) as opened:
        Choices.decode(opened.payload, STUDY)


@pytest.mark.parametrize("payload", every_other(2, list(PAYLOADS.values())), ids=PAYLOADS)
@pytest.mark.parametrize("kind", ["choices", pytest.param("flags", marks=thorough)])
def test_a_message_is_refused_before_it_takes_more_than_four_times_its_size(
    tmp_path, payload, kind
):
    """In the clear, or sealed to the receiver."""
    pair = Pair(tmp_path)
    content = payload()
    if kind in SEALED:
        content = sealed.seal(pair.identities["column"].public, kind, content)
    pair.plant(0, content, kind=kind)
    size = len(content)
    del content
    assert most_memory(lambda: receive(pair, kind)) <= MOST * size


def test_a_message_that_is_not_of_the_sender_is_refused_before_it_is_copied(tmp_path):
    pair = Pair(tmp_path)
    pair.plant(0, bytes(SIZE), identity=pair.identities["aggregator"])
    assert most_memory(lambda: receive(pair, "choices")) <= 1.5 * SIZE


def test_a_reader_that_unpacks_is_found():
    """The leak planted: the readers that a message of this kind is made for."""
    bomb = parquet_bomb()
    packed = gzip.compress(bytes(SIZE), 1)
    assert max(len(bomb), len(packed)) < SMALL
    assert most_memory(lambda: pq.read_table(io.BytesIO(bomb))) > MOST * SMALL
    assert most_memory(lambda: gzip.decompress(packed)) > MOST * SMALL
