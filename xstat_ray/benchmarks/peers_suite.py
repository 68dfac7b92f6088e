"""The whole job beside its peers: a 10 x 10 cross-tab of two tables, on one core.

Tables have one row for each person. Peers differ in what they give, so the name of a record tells
what ran:

- `phe_packed`: pseudonyms by Diffie-Hellman on libsodium, one-hots packed into one ciphertext of
  python-paillier;
- `heu_zpaillier`, `heu_ou`: such pseudonyms and one-hots, with schemes of SecretFlow's sf-heu;
- `openmined_psi`, `spu_psi_*`: private set intersection alone, where a party learns who is in both
  tables;
- `spu_crosstab_only`: the count by multi-party computation of rows that are already joined;
- `duckdb`: the query on the plain tables.

Our job is timed with key generation, both intakes, the exchange, the encrypted join and the
release. Peers that want other versions of packages than we do run under the Python that
`peers_python` names.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import rbcl

from xstat_ray.benchmarks import crosstab_suite, peers_child
from xstat_ray.benchmarks.timing import Record, one_core, optional_module
from xstat_ray.runtime.progress import Progress

CATEGORIES = peers_child.CATEGORIES


@dataclass(frozen=True)
class Sizes:
    """Rows of each side; slow peers get fewer, since rows a second are compared."""

    peers_python: Path | None
    rounds: int
    rows: int
    slow_rows: int
    """Rows for python-paillier."""
    middle_rows: int
    """Rows for ZPaillier."""
    key_bits: tuple[int, ...]


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Find rows of one side a second, by peer and key size; the ratio is ours to theirs."""
    phe = optional_module("phe", progress)
    duckdb = optional_module("duckdb", progress)
    records: list[Record] = []
    with one_core():
        for bits in sizes.key_bits:
            ours = _rates(partial(_ours, sizes, bits), sizes.rounds, progress, f"peers.ours.{bits}")
            records.append(_record(f"peers.ours.{bits}", ours, None))
            if phe is not None:
                metric = f"peers.phe_packed.{bits}"
                theirs = _rates(partial(_phe, phe, sizes, bits), sizes.rounds, progress, metric)
                records.append(_record(metric, theirs, ours))
            for name in ("heu_zpaillier", "heu_ou"):
                records += _child(sizes, name, bits, ours, progress)
        for name in peers_child.PEERS:
            if not name.startswith("heu"):
                records += _child(sizes, name, sizes.key_bits[-1], ours, progress)
        if duckdb is not None:
            plain = _rates(partial(_duckdb, duckdb, sizes), sizes.rounds, progress, "peers.duckdb")
            records.append(_record("peers.duckdb", plain, ours))
    return records


def _record(metric: str, rates: list[float], ours: list[float] | None) -> Record:
    value = median(rates)
    spread = (min(rates), max(rates))
    if ours is None:
        return Record(metric, value, "rows/s", spread)
    return Record(
        metric, median(ours), "rows/s", (min(ours), max(ours)), value, median(ours) / value
    )


def _rates(work: Callable[[], float], rounds: int, progress: Progress, metric: str) -> list[float]:
    with progress.stage(metric, rounds) as stage:
        rates = []
        for _ in range(rounds):
            rates.append(work())
            stage.advance()
    return rates


def _shape(sizes: Sizes, bits: int) -> crosstab_suite.Sizes:
    return crosstab_suite.Sizes(1, sizes.rows, CATEGORIES, CATEGORIES, bits)


def _ours(sizes: Sizes, bits: int) -> float:
    shape = _shape(sizes, bits)
    with TemporaryDirectory() as folder:
        tables = crosstab_suite.make_tables(shape, Path(folder))
        start = time.process_time()
        counts = crosstab_suite.our_counts(shape, tables, "off")
        seconds = time.process_time() - start
        tables.check("ours", counts)
    return sizes.rows / seconds


def _duckdb(duckdb: ModuleType, sizes: Sizes) -> float:
    shape = _shape(sizes, sizes.key_bits[0])
    with TemporaryDirectory() as folder:
        tables = crosstab_suite.make_tables(shape, Path(folder))
        start = time.process_time()
        counts = crosstab_suite.duckdb_counts(duckdb, tables)
        seconds = time.process_time() - start
        tables.check("duckdb", counts)
    return sizes.rows / seconds


def _phe(phe: ModuleType, sizes: Sizes, bits: int) -> float:
    """Time the composition of public parts, without key generation."""
    rows = sizes.slow_rows
    public, private = phe.generate_paillier_keypair(n_length=bits)
    start = time.process_time()
    tables = [list(people.items()) for people in peers_child.categories(rows)]
    scalars = [rbcl.crypto_core_ristretto255_scalar_random() for _ in range(2)]
    mine, theirs = (
        peers_child.blinded(rbcl, [person for person, _ in people], *scalars) for people in tables
    )
    flags = [public.raw_encrypt(1 << (peers_child.SLOT * category)) for _, category in tables[0]]
    place = {tag: row for row, tag in enumerate(mine)}
    sums = [1] * CATEGORIES
    for tag, (_, category) in zip(theirs, tables[1], strict=True):
        if tag in place:
            sums[category] = sums[category] * flags[place[tag]] % public.nsquare
    counts = sum((private.raw_decrypt(total) for total in sums), 0)
    slots = [counts >> (peers_child.SLOT * slot) & 0xFFFFFFFF for slot in range(CATEGORIES)]
    assert sum(slots) == rows - rows // 2
    return rows / (time.process_time() - start)


def _child(
    sizes: Sizes, name: str, bits: int, ours: list[float], progress: Progress
) -> list[Record]:
    """Time a peer under another Python; nothing, and a note, where it is not installed."""
    metric = f"peers.{name}.{bits}" if name.startswith("heu") else f"peers.{name}"
    if sizes.peers_python is None:
        progress.note(f"{metric} is left out: no Python is named by peers_python.")
        return []
    rows = sizes.middle_rows if name == "heu_zpaillier" else sizes.rows
    command = [str(sizes.peers_python), peers_child.__file__, name, str(rows), str(bits)]
    rates = []
    with progress.stage(metric, sizes.rounds) as stage:
        for _ in range(sizes.rounds):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=3600, check=False
            )
            lines = done.stdout.strip().splitlines()
            answer: dict[str, Any] = (
                json.loads(lines[-1])
                if lines and lines[-1].startswith("{")
                else {"missing": "it failed"}
            )
            if "missing" in answer:
                progress.note(f"{metric} is left out: {answer['missing']}.")
                return []
            rates.append(rows / float(answer["seconds"]))
            stage.advance()
    return [_record(metric, rates, ours)]
