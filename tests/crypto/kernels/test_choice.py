from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from xstat_ray.crypto.kernels import choice
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.errors import InputError


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice.choose.cache_clear()
    yield
    choice.choose.cache_clear()


def runs_here() -> bool:
    ifma = pytest.importorskip("xstat_ray.crypto.kernels.ifma", exc_type=ImportError)
    return bool(ifma.available())


def test_the_native_kernel_is_taken_where_it_runs() -> None:
    assert choice.kernel().name == ("ifma" if runs_here() else "portable")
    assert choice.kernel() is choice.kernel()


def test_a_kernel_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "portable")
    assert isinstance(choice.kernel(), Portable)
    assert choice.shortfall() is None
    if runs_here():
        monkeypatch.setenv(choice.VARIABLE, "ifma")
        assert choice.kernel().name == "ifma"


@pytest.mark.parametrize("name", ["IFMA", "avx2", " "])
def test_a_kernel_that_does_not_exist_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(choice.VARIABLE, name)
    with pytest.raises(
        InputError, match=r"no such kernel \(key XSTAT_KERNEL\). Use one of portable, ifma"
    ) as caught:
        choice.kernel()
    assert caught.value.key == "XSTAT_KERNEL"


def not_built(patch: pytest.MonkeyPatch) -> None:
    for module in ("xstat_ray.crypto.kernels._native", "xstat_ray.crypto.kernels.ifma"):
        patch.setitem(sys.modules, module, None)


def not_supported(patch: pytest.MonkeyPatch) -> None:
    runs_here()
    patch.setattr("xstat_ray.crypto.kernels.ifma.available", lambda: False)


def wrong(patch: pytest.MonkeyPatch) -> None:
    if not runs_here():
        pytest.skip("this processor has no AVX-512 IFMA")
    patch.setattr("xstat_ray.crypto.kernels.ifma.best_window", lambda *_: 4)
    right = choice.ANSWER
    patch.setattr(choice, "ANSWER", right[:-1] + ("0" if right[-1] != "0" else "1"))


CASES = [
    (not_built, "it was not built", logging.WARNING),
    (not_supported, "lacks AVX-512 IFMA", logging.INFO),
    (wrong, "computes wrong numbers", logging.ERROR),
]


@pytest.mark.parametrize(("hinder", "reason", "level"), CASES)
def test_the_portable_kernel_steps_in_and_that_is_said_once(
    hinder,
    reason: str,
    level: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hinder(monkeypatch)
    with caplog.at_level(logging.INFO):
        assert isinstance(choice.kernel(), Portable)
        assert isinstance(choice.kernel(), Portable)
        assert reason in choice.shortfall()
    ((_, said, text),) = caplog.record_tuples
    assert said == level
    assert reason in text


@pytest.mark.parametrize(("hinder", "reason", "level"), CASES)
def test_a_forced_kernel_that_cannot_run_is_an_error(
    hinder, reason: str, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hinder(monkeypatch)
    monkeypatch.setenv(choice.VARIABLE, "ifma")
    with pytest.raises(
        InputError, match=f"the kernel ifma cannot run: .*{reason}.*Unset it, or use portable"
    ):
        choice.kernel()


def test_nothing_is_decided_before_a_kernel_is_needed() -> None:
    code = "import xstat_ray, sys; assert 'xstat_ray.crypto.kernels._native' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
