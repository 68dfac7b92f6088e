"""Mutates good input for every parser, and reports any error but those of this package.

    python -m tests.fuzz messages 60

The arguments are messages, study or tables; for how many seconds; and a seed, if one is wanted. A
failure prints the seed and leaves the input in fuzz-failure.bin.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cbor2
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from xstat_ray.crypto.handshake import Handshake, Hello
from xstat_ray.errors import XstatError
from xstat_ray.federation import nitro
from xstat_ray.federation.audit import Log, read_log
from xstat_ray.federation.envelope import Header, open_message, seal
from xstat_ray.federation.identity import Identity, Peers
from xstat_ray.federation.sealed import seal as seal_to
from xstat_ray.federation.sealed import unseal
from xstat_ray.inputs.study_file import load
from xstat_ray.inputs.tables import open_table
from xstat_ray.model.messages import (
    Choices,
    Coefficients,
    Flags,
    JointApproval,
    MaskedTable,
    Matrix,
    Offer,
    Partial,
    Residues,
    Rows,
    Tree,
)

Parser = Callable[[bytes], object]
STUDY = bytes(32)
ROOT = Path(__file__).parents[1]
INTERESTING = [
    b"",
    b"\0",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"-1",
    b"1e999",
    b"null",
    b"{}",
    b"[[",
    b"'",
    b'"',
    b": ",
    b"\n",
    b"9" * 40,
    b"\xe3\x81\x82",
    b"&a [*a]",
]


def mutate(draw: random.Random, seeds: list[bytes]) -> bytes:
    """Take a seed, and change, remove or repeat a few bytes, or take them from another seed."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at = draw.randrange(len(data) + 1)
        size = min(draw.choice((1, 1, 2, 4, 30)), len(data) - at)
        match draw.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size]
            case 3:
                data[at : at + size] = draw.choice(INTERESTING)
            case 4:
                data[at : at + size] = draw.randbytes(size)
            case 5:
                other = draw.choice(seeds)
                start = draw.randrange(len(other) + 1)
                data[at : at + size] = other[start : start + draw.choice((1, 8, 64))]
    return bytes(data)


# Messages


def tables() -> list[object]:
    """Make a message of each kind that holds a table."""
    tags = np.arange(32, dtype=np.uint8).reshape(2, 16)
    cells = np.arange(2, dtype=np.uint32)
    ciphertexts = np.ones((2, 2, 8), np.uint8)
    return [
        Offer(persons=256, point=np.ones((1, 32), np.uint8)),
        Choices(points=np.ones((3, 32), np.uint8)),
        Matrix(bin=0, columns=np.ones((3, 2), np.uint64)),
        Tree(view="0f" * 16, starts=np.arange(3)),
        Rows(view="0f" * 16, shard=0, tags=tags, cells=cells),
        Flags(view="0f" * 16, batch=0, part=0, tags=tags, ciphertexts=ciphertexts),
        Partial(view="0f" * 16, cells=cells, ciphertexts=ciphertexts),
        MaskedTable(ciphertexts=ciphertexts),
        Coefficients(release="00" * 16, first=0, values=np.ones((2, 3), np.int64)),
        JointApproval("00" * 16, "11" * 32, np.ones((2, 32), np.uint8), np.ones((2, 32), np.uint8)),
        Residues("00" * 16, "11" * 32, 0, ciphertexts),
    ]


def message_parsers(folder: Path) -> list[tuple[Parser, list[bytes]]]:
    identity = Identity(Ed25519PrivateKey.generate())
    peers = Peers(dict.fromkeys(("row", "column", "aggregator"), identity.public))
    header = Header("1" * 64, "2" * 64, "run", "3" * 64, "row", "column", 0, "rows", 0, 1, 0, 0)
    sealed = [seal(header, payload, identity) for payload in (b"", b"payload")]
    log = Log(folder / "log.jsonl", "row", identity)
    for number in range(3):
        log.add("sent", peer="column", number=number)
    payload = cbor2.dumps(
        {
            "module_id": "i",
            "timestamp": 1,
            "digest": "SHA384",
            "pcrs": {0: b"\1" * 48},
            "cabundle": [b"x"],
            "certificate": b"x",
        }
    )
    document = cbor2.dumps([cbor2.dumps({1: -35}), {}, payload, bytes(96)])
    parsers: list[tuple[Parser, list[bytes]]] = [
        (lambda data: open_message(data, header.name, peers), sealed),
        (lambda data: read_log(data, "row", peers), [log.content()]),
        (lambda data: nitro.verify(data, root=bytes(32), now=time.time()), [document]),
        (
            lambda data: unseal(identity, "rows", data),
            [seal_to(identity.public, "rows", b"payload")],
        ),
        (Hello.decode, [Handshake("row", STUDY, STUDY).hello.encode()]),
    ]
    log.close()

    # A good signature makes nothing trusted: headers and payloads once more, signed.
    def signed(data: bytes) -> object:
        head = sealed[0][:12] + len(data).to_bytes(4, "little") + data
        return open_message(
            head + identity.sign(b"xstat-ray envelope\0" + head), header.name, peers
        )

    parsers.append((signed, [header.encode()]))
    for table in tables():
        parsers.append(
            (lambda data, kind=type(table): kind.decode(data, STUDY), [table.encode(STUDY)])
        )
    return parsers


# Studies


SMALL = b"""study:
  name: small
  id: {form: phone, region: JP}
  period: {grain: hour, start: 2024-01-01, end: 2024-01-03, timezone: Asia/Tokyo}
  row:
    id: a
    time: t
    dimensions: [{name: area, values: [x, "1"], other: z}, {name: n, range: [1, 4]}]
  column:
    id: b
    windows: [{anchor: t, name: w, unit: hour, from: -2, to: 2}]
    dimensions: [{name: k, groups: {g: [1]}}]
  bounds: {rows: 1, boardings: 2, persons: 100}
privacy:
  {noise: gaussian, mechanism: tree, epsilon: 1/3, delta: 1e-6, cap: 10, padding: dp,
   view: {epsilon: 1}}
"""


def study_parsers(folder: Path) -> list[tuple[Parser, list[bytes]]]:
    def parse(data: bytes) -> object:
        path = folder / "study.yaml"
        path.write_bytes(data)
        return load(path)

    # The studies that are shipped take long, as they read reference tables; so they come up seldom.
    shipped = [path.read_bytes() for path in sorted((ROOT / "conf" / "study").glob("*.yaml"))]
    return [*[(parse, [SMALL])] * 50, (parse, shipped)]


# Tables


def table_parsers(folder: Path) -> list[tuple[Parser, list[bytes]]]:
    table = pa.table(
        {
            "id": ["090-1234-5678", None, "x"],
            "at": pa.array([1, 2, None], pa.timestamp("us", "Asia/Tokyo")),
            "weight": [1.5, None, 2.0],
            "area": pa.array([1, 2, 3]),
        }
    )
    parquet = io.BytesIO()
    arrow = io.BytesIO()
    csv = io.BytesIO()
    pq.write_table(table, parquet)
    pyarrow.feather.write_feather(table, arrow)
    pyarrow.csv.write_csv(table, csv)

    def parser(suffix: str) -> Parser:
        def parse(data: bytes) -> object:
            path = folder / f"table.{suffix}"
            path.write_bytes(data)
            opened = open_table(path, id="id", times=["at"], numbers=["weight"], values=["area"])
            return [chunk.first_row for chunk in opened.chunks()]

        return parse

    files = {"parquet": parquet, "arrow": arrow, "csv": csv}
    return [(parser(suffix), [stream.getvalue()]) for suffix, stream in files.items()]


PARSERS = {"messages": message_parsers, "study": study_parsers, "tables": table_parsers}


def fuzz(what: str, seconds: float, seed: int) -> tuple[int, int]:
    """Fuzz the parsers of one kind.

    Args:
        what: a key of `PARSERS`.
        seconds: for how long.
        seed: from which the inputs follow.

    Returns:
        Number of inputs that were tried, and of those that were refused.

    Raises:
        Exception: the first error that is not this package's; its input is in fuzz-failure.bin.
    """
    draw = random.Random(seed)
    tried = 0
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        parsers = PARSERS[what](Path(folder))
        for parse, seeds in parsers:
            for good in seeds:
                with suppress(XstatError):
                    parse(good)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            parse, seeds = draw.choice(parsers)
            data = mutate(draw, seeds)
            tried = tried + 1
            try:
                parse(data)
            except XstatError:
                refused += 1
            except BaseException:
                Path("fuzz-failure.bin").write_bytes(data)
                print(f"{what}: seed {seed}, input {tried}", file=sys.stderr)
                raise
    return tried, refused


if __name__ == "__main__":
    name, length, *rest = sys.argv[1:]
    number = int(rest[0]) if rest else random.SystemRandom().randrange(1 << 32)
    print(
        f"{name}: seed {number}, {{}} inputs, {{}} refused".format(
            *fuzz(name, float(length), number)
        )
    )
