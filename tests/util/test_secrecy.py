"""Secrets refuse to travel and print redacted, in whatever way they are asked."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from xstat_ray.util.secrecy import Secret


@dataclass(frozen=True, repr=False)
class Key(Secret):
    """A secret as a dataclass."""

    value: int = 48_611


class Slotted(Secret):
    """A secret without a dictionary."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 48_611


@pytest.mark.parametrize("make", [Key, Slotted])
@pytest.mark.parametrize(
    "send", [pickle.dumps, copy.copy, copy.deepcopy, lambda secret: pickle.dumps([{"k": secret}])]
)
def test_a_secret_refuses_to_travel(
    make: Callable[[], Secret], send: Callable[[Secret], object]
) -> None:
    with pytest.raises(TypeError, match="holds a secret and refuses to travel"):
        send(make())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_protocol_of_pickle_takes_a_secret(protocol: int) -> None:
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(Key(), protocol)


@pytest.mark.parametrize("make", [Key, Slotted])
@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, lambda s: repr([s])])
def test_a_secret_prints_redacted(
    make: Callable[[], Secret], show: Callable[[Secret], str]
) -> None:
    text = show(make())
    assert "redacted" in text
    assert "48611" not in text
