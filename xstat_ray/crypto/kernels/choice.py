"""Which kernel this process uses: decided once, by what the processor has, and tried beforehand."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from xstat_ray.crypto.kernels.interface import Kernel
from xstat_ray.crypto.kernels.known_answer import ANSWER, answer
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.errors import InputError

VARIABLE = "XSTAT_KERNEL"
NAMES = ("portable", "aesni", "avx2", "ifma", "phe")

_LOG = logging.getLogger(__name__)


def kernel() -> Kernel:
    """The kernel that XSTAT_KERNEL names, else the best that runs and passes its self-test.

    That is `ifma`, then `avx2`, then `aesni`, then `portable`.

    Raises:
        InputError: XSTAT_KERNEL names no kernel, or one that does not run here.
    """
    return choose(os.environ.get(VARIABLE, "")).kernel


def shortfall() -> str | None:
    """Why the native kernel is not used, unless it is or XSTAT_KERNEL names another."""
    return choose(os.environ.get(VARIABLE, "")).shortfall


class Choice(NamedTuple):
    """A kernel, and why it is not the native one where nobody asked for another."""

    kernel: Kernel
    shortfall: str | None = None


@cache
def choose(forced: str) -> Choice:
    """What this process uses while XSTAT_KERNEL is `forced`, empty where it is not set.

    Decided once; `choose.cache_clear()` makes it decide anew.

    Raises:
        InputError: `forced` names no kernel, or one that does not run here.
    """
    if forced not in ("", *NAMES):
        raise InputError(
            "there is no such kernel",
            key=VARIABLE,
            remedy=f"Use one of {', '.join(NAMES)}, or unset it",
        )
    if forced == "portable":
        return Choice(Portable())
    if forced == "phe":
        from xstat_ray.crypto.kernels.phe import Phe

        return Choice(Phe())
    try:
        return Choice(_NATIVE[forced or "ifma"]())
    except _Unavailable as error:
        if forced:
            raise InputError(
                f"the kernel {forced} cannot run: {error}",
                key=VARIABLE,
                remedy="Unset it, or use portable",
            ) from None
        second = _second()
        times = "2 to 3" if second.name == "avx2" else "6 to 10"
        _LOG.log(
            error.level,
            "The kernel ifma cannot run: %s; encryption takes %s times as long.",
            error,
            times,
        )
        return Choice(second, str(error))


def _second() -> Kernel:
    for make in (_avx2, _aesni):
        with suppress(_Unavailable):
            return make()
    return Portable()


class _Unavailable(Exception):  # noqa: N818 - never leaves this module
    """Why the kernel cannot run here; `level` says how much of a surprise that is."""

    def __init__(self, reason: str, level: int) -> None:
        super().__init__(reason)
        self.level = level


def _ifma() -> Kernel:
    native = _native()
    if not native.available():
        raise _Unavailable("this processor or operating system lacks AVX-512 IFMA", logging.INFO)
    from xstat_ray.crypto.kernels.ifma import Ifma

    return _tried(Ifma(native))


def _avx2() -> Kernel:
    from xstat_ray.crypto.kernels.avx2 import Avx2

    native = _native()
    if not Avx2.runs(native):
        reason = "this processor, or the build of the extension, lacks AVX2 or AES instructions"
        raise _Unavailable(reason, logging.INFO)
    return _tried(Avx2(native))


def _aesni() -> Kernel:
    from xstat_ray.crypto.kernels.aesni import Aesni

    native = _native()
    if not Aesni.runs(native):
        raise _Unavailable("this processor lacks AES instructions", logging.INFO)
    return _tried(Aesni(native))


def _native() -> ModuleType:
    try:
        return import_module("xstat_ray.crypto.kernels._native")
    except ImportError:
        raise _Unavailable(
            "it was not built when the package was installed "
            "(install gcc, then reinstall the package)",
            logging.WARNING,
        ) from None


def _tried(kernel: Kernel) -> Kernel:
    if answer(kernel) != ANSWER:
        raise _Unavailable("it computes wrong numbers on this machine", logging.ERROR)
    return kernel


_NATIVE = {"ifma": _ifma, "avx2": _avx2, "aesni": _aesni}
