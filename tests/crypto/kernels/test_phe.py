"""The protocol on stock python-paillier: the same counts, and no other kernel on the way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phe import PaillierPrivateKey, PaillierPublicKey

from tests.case import COUNTS, Case, counts, study
from xstat_ray.crypto.kernels import phe as kernel
from xstat_ray.crypto.kernels.choice import VARIABLE
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.crypto.paillier import PrivateKey, PublicEncryptor
from xstat_ray.errors import InputError
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often `phe` is called: XSTAT_KERNEL names it, and other kernels are out of reach."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            counted[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(owner, name, counting)

    def refuse(*_: Any) -> None:
        raise AssertionError("the portable kernel was asked")

    monkeypatch.setenv(VARIABLE, "phe")
    for name in ("owner", "public", "products", "powers", "accumulate"):
        monkeypatch.setattr(Portable, name, refuse)
    count(PaillierPublicKey, "raw_encrypt")
    count(PaillierPrivateKey, "raw_decrypt")
    count(kernel, "powmod")
    count(kernel, "mulmod")
    return counted


def test_the_whole_protocol_gives_the_counts_of_the_join(
    calls: Counter[str], tmp_path: Path
) -> None:
    case = Case(tmp_path)
    ids = [str(number) for number in range(60)]
    areas = ["ab"[number % 7 % 2] for number in range(60)]
    kinds = ["xy"[number % 5 % 2] for number in range(60)]
    case.write("row", {"id": ids, "area": areas})
    case.write("column", {"id": ids[10:], "kind": kinds[10:]})
    plan = make_plan(study(), key_bits=2048, shards=2)
    assert plan.kernel == "phe"
    row_table = case.tables["row"]
    column_table = case.tables["column"]
    table = play(plan, row_table=row_table, column_table=column_table, ledger=case.ledger).values
    joined = Counter(zip(areas[10:], kinds[10:], strict=True))
    assert table.tolist() == [[joined[area, kind] for kind in "xy"] for area in "ab"]
    assert calls["raw_decrypt"] == plan.table_ciphertexts
    assert calls["raw_encrypt"] > plan.table_ciphertexts
    assert calls["powmod"] >= 2 * 50
    assert calls["mulmod"] >= 50


def test_a_local_release_is_that_of_the_portable_kernel(
    tmp_path: Path, calls: Counter[str]
) -> None:
    release = Case(tmp_path).run(study())
    assert release.manifest["kernels"] == dict.fromkeys(("driver", "row", "column"), "phe")
    assert counts(release) == COUNTS
    assert calls["raw_decrypt"]


def test_constant_time_is_refused_by_the_plan_and_by_the_kernel(
    private_key: PrivateKey, calls: Counter[str]
) -> None:
    public = private_key.public
    for work in (
        lambda: make_plan(study(), constant_time=True),
        lambda: PublicEncryptor(public, 1, constant_time=True),
        lambda: kernel.Phe().powers(np.ones((1, 512), np.uint8), public.n, public.n2, True),
    ):
        with pytest.raises(InputError, match="phe does not work in constant time") as caught:
            work()
        assert caught.value.key == "crypto.constant_time"


def test_ciphertexts_of_phe_itself_are_opened(private_key: PrivateKey, calls: Counter[str]) -> None:
    public = PaillierPublicKey(int(private_key.public.n))
    ciphertext = public.raw_encrypt(123456789)
    width = private_key.public.width
    row = np.frombuffer(ciphertext.to_bytes(width, "little"), np.uint8).reshape(1, width)
    assert private_key.decrypt(row) == [123456789]
