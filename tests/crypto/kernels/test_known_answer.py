from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xstat_ray.crypto.kernels.interface import Kernel
from xstat_ray.crypto.kernels.known_answer import ANSWER, answer
from xstat_ray.crypto.kernels.portable import Portable


def test_the_answer_is_that_of_the_portable_kernel() -> None:
    assert answer(Portable()) == ANSWER


def test_every_kernel_gives_that_answer(kernel: Kernel) -> None:
    assert answer(kernel) == ANSWER


def one_bit_off(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def wrong(*arguments: Any, **options: Any) -> np.ndarray:
        result = function(*arguments, **options).copy()
        result.reshape(-1)[-1] ^= 1
        return result

    return wrong


FUNCTIONS = [
    "powers",
    "decrypt",
    "accumulate",
    "oprf_mark",
    "oprf_rows",
    "oprf_pad",
    "sha512",
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_wrong_bit_of_any_function_is_seen(function: str) -> None:
    kernel = Portable()
    setattr(kernel, function, one_bit_off(getattr(kernel, function)))
    try:
        assert answer(kernel) != ANSWER
    except Exception as error:
        assert function == "powers", error


@pytest.mark.parametrize("function", ["owner", "public", "products"])
def test_one_wrong_bit_of_encryption_is_seen(function: str) -> None:
    kernel = Portable()
    right = getattr(kernel, function)

    def make(*arguments: Any) -> Any:
        tables = right(*arguments)
        tables.encrypt = one_bit_off(tables.encrypt)
        return tables

    setattr(kernel, function, make)
    assert answer(kernel) != ANSWER


def test_every_function_of_the_interface_is_tried() -> None:
    functions = {
        name
        for name, _ in inspect.getmembers(Kernel, inspect.isfunction)
        if not name.startswith("_")
    }
    assert functions == {*FUNCTIONS, "owner", "public", "products", "check"}
