"""The part of a peer in the suite `peers`, run by another Python.

    python peers_child.py NAME ROWS BITS

It needs the packages of the peer and nothing of this one. It ends with a line of JSON:
{"seconds": ...}, the processor seconds of all its processes, or {"missing": ...} where the peer is
not installed.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CATEGORIES = 10
SLOT = 32


def heu(scheme: str) -> Callable[[int, int], float]:
    """Compose pseudonyms by Diffie-Hellman on libsodium with one-hots by a scheme of sf-heu."""

    def composition(rows: int, bits: int) -> float:
        import numpy as np
        import rbcl
        from heu import numpy as heu_numpy
        from heu import phe

        kit = heu_numpy.setup(getattr(phe.SchemaType, scheme), bits)
        start = time.process_time()
        mine, theirs = categories(rows)
        a, b = (rbcl.crypto_core_ristretto255_scalar_random() for _ in range(2))
        first, second = (blinded(rbcl, part, a, b) for part in (mine, theirs))
        messages = np.array([[1 << (SLOT * category)] for category in mine.values()], dtype=object)
        encrypted = kit.encryptor().encrypt(kit.array(messages, kit.bigint_encoder()))
        place = {tag: row for row, tag in enumerate(first)}
        groups = [list[int]() for _ in range(CATEGORIES)]
        for tag, category in zip(second, theirs.values(), strict=True):
            if tag in place:
                groups[category].append(place[tag])
        sums = kit.evaluator().batch_select_sum(encrypted, [(group, [0]) for group in groups])
        kit.decryptor().decrypt(sums).to_numpy(kit.bigint_encoder())
        return time.process_time() - start

    return composition


def categories(rows: int) -> tuple[dict[str, int], dict[str, int]]:
    """Make two tables of people and their categories; half of the people are in both."""
    people = (range(rows), range(rows // 2, rows // 2 + rows))
    first, second = (
        {f"user{number:010d}": number * 7 // 3 % CATEGORIES for number in numbers}
        for numbers in people
    )
    return first, second


def blinded(rbcl: Any, people: Iterable[str], first: bytes, second: bytes) -> list[bytes]:
    """Multiply the points of one party's people by the scalars of both."""
    points = [
        rbcl.crypto_core_ristretto255_from_hash(hashlib.sha512(person.encode()).digest())
        for person in people
    ]
    once = [rbcl.crypto_scalarmult_ristretto255(first, point) for point in points]
    return [rbcl.crypto_scalarmult_ristretto255(second, point) for point in once]


def openmined(rows: int, _: int) -> float:
    """Intersect two sets by OpenMined's PSI, which tells who is in both, and counts nothing."""
    import private_set_intersection.python as psi

    start = time.process_time()
    mine, theirs = (list(people) for people in categories(rows))
    client = psi.client.CreateWithNewKey(True)
    server = psi.server.CreateWithNewKey(True)
    setup = server.CreateSetupMessage(1e-9, rows, theirs, psi.DataStructure.RAW)
    answer = server.ProcessRequest(client.CreateRequest(mine))
    assert len(client.GetIntersection(setup, answer)) == rows - rows // 2
    return time.process_time() - start


def spu_crosstab(rows: int, _: int) -> float:
    """Count rows that are already joined, between two parties of SPU (SEMI2K)."""
    import jax.numpy as jnp
    import numpy as np
    from spu import libspu
    from spu.utils import simulation

    rng = np.random.default_rng(0)
    first, second = (
        np.eye(CATEGORIES, dtype=np.int32)[rng.integers(0, CATEGORIES, rows)] for _ in range(2)
    )
    simulator = simulation.Simulator.simple(2, libspu.ProtocolKind.SEMI2K, libspu.FieldType.FM64)
    start = time.process_time()
    counts = simulation.sim_jax(simulator, lambda x, y: jnp.matmul(x.T, y))(first, second)
    assert (np.asarray(counts) == first.T @ second).all()
    return time.process_time() - start


def spu_psi(protocol: str) -> Callable[[int, int], float]:
    """Intersect two sets by SPU's PSI between two processes; the receiver learns who is in both."""

    def measured(rows: int, _: int) -> float:
        import spu.psi  # noqa: F401

        with tempfile.TemporaryDirectory() as folder:
            results = multiprocessing.get_context("spawn").Queue()
            for rank, people in enumerate(categories(rows)):
                lines = "\n".join(f"{person},{category}" for person, category in people.items())
                (Path(folder) / f"in{rank}.csv").write_text(f"id,category\n{lines}\n")
            start = multiprocessing.get_context("spawn").Process
            parties = [
                start(target=_spu_party, args=(rank, protocol, folder, results))
                for rank in range(2)
            ]
            for party in parties:
                party.start()
            seconds: float = sum(results.get(timeout=300) for _ in parties)
            for party in parties:
                party.join()
            return seconds

    return measured


def _spu_party(rank: int, protocol: str, folder: str, results: Any) -> None:
    from spu import libspu, psi

    description = libspu.link.Desc()
    for party in range(2):
        description.add_party(f"p{party}", f"127.0.0.1:{19620 + party}")
    link = libspu.link.create_brpc(description, rank)
    start = time.process_time()
    ecdh = psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519)
    kind = getattr(psi.PsiProtocol, protocol)
    config = psi.PsiExecuteConfig(
        protocol_conf=psi.PsiProtocolConfig(
            protocol=kind, receiver_rank=0, broadcast_result=False, ecdh_params=ecdh
        ),
        input_params=psi.InputParams(
            path=f"{folder}/in{rank}.csv", selected_keys=["id"], keys_unique=True
        ),
        output_params=psi.OutputParams(path=f"{folder}/out{rank}.csv", disable_alignment=False),
    )
    psi.psi_execute(config, link)
    results.put(time.process_time() - start)
    link.stop_link()


PEERS: dict[str, Callable[[int, int], float]] = {
    "heu_zpaillier": heu("ZPaillier"),
    "heu_ou": heu("OU"),
    "openmined_psi": openmined,
    "spu_psi_ecdh": spu_psi("PROTOCOL_ECDH"),
    "spu_psi_rr22": spu_psi("PROTOCOL_RR22"),
    "spu_crosstab_only": spu_crosstab,
}


def main() -> None:
    """Time the peer that the command line names."""
    name = sys.argv[1]
    rows = int(sys.argv[2])
    bits = int(sys.argv[3])
    try:
        result: dict[str, Any] = {"seconds": PEERS[name](rows, bits)}
    except ImportError as error:
        result = {"missing": str(error)}
    print(json.dumps(result), flush=True)  # noqa: T201
    os._exit(0)


if __name__ == "__main__":
    main()
