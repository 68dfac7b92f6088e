from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.crypto.kernels import extension
from xstat_ray.crypto.kernels import choice
from xstat_ray.crypto.kernels.ifma import Ifma
from xstat_ray.crypto.kernels.interface import Kernel
from xstat_ray.crypto.kernels.known_answer import ANSWER, answer
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.errors import InputError

EXTENSION = "xstat_ray.crypto.kernels._native"


@pytest.fixture(autouse=True)
def undecided(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice.choose.cache_clear()
    yield
    choice.choose.cache_clear()


def quick_answer(kernel: Kernel) -> str:
    """What a kernel answers, which for an emulated one test_known_answer.py shows: it takes long."""
    emulated = isinstance(kernel, Ifma) and extension.emulated()
    return ANSWER if emulated else answer(kernel)


@pytest.fixture
def installed(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extension as if built where the package is, also on machines that cannot run it."""
    monkeypatch.setitem(sys.modules, EXTENSION, native)
    monkeypatch.setattr(choice, "answer", quick_answer)


def test_the_native_kernel_is_taken_where_it_runs(installed: None) -> None:
    assert choice.kernel().name == "ifma"
    assert choice.shortfall() is None
    assert choice.kernel() is choice.kernel()


@pytest.mark.parametrize(
    ("lacking", "name"),
    [
        ((), "ifma"),
        (("available",), "avx2"),
        (("available", "avx2_available"), "aesni"),
        (("available", "avx2_available", "aes_available"), "portable"),
    ],
)
def test_the_best_that_the_processor_runs_is_taken(
    lacking: tuple[str, ...],
    name: str,
    installed: None,
    native: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for question in lacking:
        monkeypatch.setattr(native, question, lambda: False)
    assert choice.kernel().name == name
    assert (choice.shortfall() is None) == (name == "ifma")
    if name != "ifma":
        assert "lacks AVX-512 IFMA" in str(choice.shortfall())


def test_a_build_without_the_avx2_kernel_is_used_as_far_as_it_goes(
    installed: None, native: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "available", lambda: False)
    monkeypatch.delattr(native, "four_table")
    assert choice.kernel().name == "aesni"
    monkeypatch.setenv(choice.VARIABLE, "avx2")
    with pytest.raises(InputError, match="the kernel avx2 cannot run: .*or the build .*lacks AVX2"):
        choice.kernel()


@pytest.mark.parametrize("name", choice.NAMES)
def test_a_kernel_can_be_forced(
    name: str, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(choice.VARIABLE, name)
    assert choice.kernel().name == name
    assert choice.shortfall() is None


@pytest.mark.parametrize("name", ["IFMA", "avx512", " "])
def test_a_kernel_that_does_not_exist_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(choice.VARIABLE, name)
    with pytest.raises(
        InputError,
        match=r"no such kernel \(key XSTAT_KERNEL\). Use one of portable, aesni, avx2, ifma, phe, or unset",
    ) as caught:
        choice.kernel()
    assert caught.value.key == "XSTAT_KERNEL"


def not_built(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, EXTENSION, None)


def not_supported(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys.modules[EXTENSION], "available", lambda: False)


def wrong(patch: pytest.MonkeyPatch) -> None:
    right = choice.ANSWER
    patch.setattr(choice, "answer", lambda _: right[:-1] + ("0" if right[-1] != "0" else "1"))


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
    installed: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hinder(monkeypatch)
    with caplog.at_level(logging.INFO):
        assert isinstance(choice.kernel(), Portable)
        assert isinstance(choice.kernel(), Portable)
        assert reason in choice.shortfall()
    ((_, found_level, text),) = caplog.record_tuples
    assert found_level == level
    assert reason in text


@pytest.mark.parametrize(("hinder", "reason", "level"), CASES)
def test_a_forced_kernel_that_cannot_run_is_an_error(
    hinder, reason: str, level: int, installed: None, monkeypatch: pytest.MonkeyPatch
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
