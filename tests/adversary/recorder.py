"""Everything that each role sends, receives, holds and computes while the real code runs.

Nothing is listed by hand. The recorder watches every function of the package by the interpreter's
profiling hook: when one returns, all its local variables and its result were computed by the role
on whose behalf it ran. So a new field, message or intermediate value is recorded as it is, and an
attack on a record is one on the whole of what a role could have looked at.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import xstat_ray
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.roles import Aggregator, KeyHolder
from xstat_ray.roles.session import Session
from xstat_ray.runtime.executor import Executor, Instance, Ref

SENT = "sent"
RECEIVED = "received"
HELD = "held"
COMPUTED = "computed"
NOBODY = ""
"""Stands for code that plays no role, such as a test."""
SHORTEST = 8
"""Bytes from which two equal values are no coincidence."""
_WATCHED = {
    str(Path(xstat_ray.__file__).parent): "",
    str(Path(__file__).parent / "planted"): "planted/",
}
"""Folders of code that is watched: the package, and leaks that are planted on purpose."""
_UNFILLED = "crypto/kernels/tables.aligned"
"""Gives memory that is still to be filled; what lies there is left over from something else."""
_PARAMETERS = "crypto/oprf._columns"
"""Works out a public parameter from public numbers, in a hundred thousand calls."""
_DEPTH = 8
_BOUNDARIES = (Session, KeyHolder, Aggregator)
"""Objects that are roles; what they hold belongs to them, whoever has a reference to them."""
_HANDLES = (Executor, Instance, Ref)
"""Objects by which roles are reached."""
Value = NDArray[Any] | bytes | int | float | str | tuple[bytes, ...]


@dataclass(frozen=True)
class Thing:
    """A value that a role had."""

    role: str
    kind: str
    """`SENT`, `RECEIVED`, `HELD` or `COMPUTED`."""
    name: str
    """Function and variable, and the way to the value in there."""
    value: Value

    @property
    def words(self) -> tuple[bytes, ...]:
        """The values in it that are long enough to be no coincidence, in their order."""
        return tuple(word for word in _words(self.value) if len(word) >= SHORTEST)


def _words(value: Value) -> Iterator[bytes]:
    match value:
        case np.ndarray():
            yield from _words_of_array(value)
        case bytes():
            yield value
        case str():
            yield value.encode()
        case tuple():
            yield from value
        case int() if abs(value) >= 1 << 8 * SHORTEST:
            yield abs(value).to_bytes((value.bit_length() + 7) // 8, "little")


def _words_of_array(array: NDArray[Any]) -> Iterator[bytes]:
    if array.dtype == np.uint8 and array.ndim:
        rows = array.reshape(-1, array.shape[-1]) if array.size else array[:0].reshape(0, 1)
        yield from (row.tobytes() for row in rows)
    elif array.dtype.kind in "SVOU":
        yield from (
            one if isinstance(one, bytes) else str(one).encode() for one in array.ravel().tolist()
        )
    elif array.dtype.itemsize >= SHORTEST and array.dtype.kind in "uc":
        # Small numbers coincide; what is drawn at random is large.
        flat = np.ascontiguousarray(array).ravel()
        large = flat >= 1 << 40 if array.dtype.kind == "u" else np.ones(len(flat), bool)
        yield from (one.tobytes() for one in flat[large])


@dataclass
class Record:
    """What all roles had."""

    only: frozenset[str] = frozenset()
    """The roles whose things are kept; all if empty."""
    things: dict[tuple[str, str, str, bytes], Thing] = field(default_factory=dict)

    def of(self, *roles: str) -> list[Thing]:
        """Everything that these roles had, who are then one adversary."""
        return [thing for thing in self.things.values() if thing.role in roles]

    def keeps(self, role: str) -> bool:
        """Whether what this role had is kept."""
        return role != NOBODY and (not self.only or role in self.only)

    def add(self, role: str, kind: str, name: str, value: Any) -> None:
        """Take a value apart and keep copies of what it is made of."""
        if self.keeps(role):
            for path, leaf in _leaves(value, name, _DEPTH, set()):
                self._keep(Thing(role, kind, path, leaf))

    def add_all(self, things: Iterable[Thing]) -> None:
        """Take over what was recorded elsewhere."""
        for thing in things:
            self._keep(thing)

    def add_files(self, role: str, folder: Path) -> None:
        """Keep the content of all files below a folder, which the role can read."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = f"file {path.relative_to(folder)}"
                self._keep(Thing(role, HELD, name, path.read_bytes()))

    def _keep(self, thing: Thing) -> None:
        key = (thing.role, thing.kind, thing.name, _digest(thing.value))
        self.things.setdefault(key, thing)


def _digest(value: Value) -> bytes:
    if isinstance(value, np.ndarray):
        content = repr((value.shape, value.dtype)).encode()
        raw = repr(value.tolist()).encode() if value.dtype.hasobject else value.tobytes()
        return hashlib.blake2b(content + raw, digest_size=16).digest()
    return hashlib.blake2b(repr(value).encode(), digest_size=16).digest()


def _leaves(value: Any, name: str, depth: int, above: set[int]) -> Iterator[tuple[str, Value]]:
    """What a value is made of, each with the way to it."""
    match value:
        case None | bool() | type() | ModuleType():
            return
        case np.ndarray():
            yield name, value.copy()
        case np.generic():
            yield name, value.item()
        case bytes() | bytearray() | memoryview():
            yield name, bytes(value)
        case str() | float() | int():
            yield name, value
        case Path() | Fraction():
            yield name, str(value)
        case pa.Table() | pa.RecordBatch():
            yield from _leaves(value.to_pydict(), name, depth, above)
        case pa.Array() | pa.ChunkedArray():
            yield from _leaves(value.to_pylist(), name, depth, above)
        case _ if depth and id(value) not in above and not isinstance(value, _HANDLES):
            for part, inner in _parts(value):
                yield from _leaves(inner, f"{name}{part}", depth - 1, above | {id(value)})


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    match value:
        case Mapping():
            yield from ((f"[{key!r}]", inner) for key, inner in value.items())
            yield "[keys]", list(value)
        case list() | tuple() | set() | frozenset():
            yield from _parts_of_sequence(list(value))
        case _ if hasattr(value, "private_bytes_raw"):
            yield ".private_bytes_raw", value.private_bytes_raw()
        case _ if type(value).__module__ == "builtins" and hasattr(value, "__next__"):
            return
        case _ if isinstance(value, _BOUNDARIES):
            return
        case _ if type(value).__module__.startswith("xstat_ray."):
            yield from _attributes(value)
        case _ if type(value).__name__ in ("mpz", "xmpz"):
            yield "", int(value)


def _parts_of_sequence(values: list[Any]) -> Iterator[tuple[str, Any]]:
    """The elements; those of a long list of texts or numbers stay together, in their order."""
    kinds = {type(value) for value in values}
    if len(values) > 1 and kinds <= {str, bytes}:
        texts = [value if isinstance(value, bytes) else value.encode() for value in values]
        yield "[]", np.array(texts, dtype=object)
    elif len(values) > 1 and kinds <= {int} and max(map(abs, values)) < 1 << 62:
        yield "[]", np.array(values, np.int64)
    else:
        yield from ((f"[{place}]", inner) for place, inner in enumerate(values))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    names = list(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    yield from ((f".{name}", getattr(value, name)) for name in names if hasattr(value, name))


class Recorder:
    """Watches the functions of the package, and says on whose behalf each of them runs."""

    def __init__(self, *roles: str) -> None:
        """Watch these roles alone, which is faster; by default all of them."""
        self.record = Record(only=frozenset(roles))
        self.base = NOBODY
        """The role of code that is called from no role, such as the driver's."""
        self._known: dict[CodeType, str | None] = {}
        self._local = threading.local()
        self._current = NOBODY

    @contextmanager
    def recording(self, base: str) -> Iterator[Record]:
        """Record what runs inside; what belongs to no role's object is done by `base`."""
        self.base = base
        self._current = base
        before = sys.getprofile()
        kernel()  # which it tests when it is first used
        with pytest.MonkeyPatch.context() as patch:
            # One thread: helpers that were started before are not watched.
            patch.setenv("XSTAT_THREADS", "1")
            self._watch_hashes(patch)
            self.start()
            try:
                yield self.record
            finally:
                sys.setprofile(before)
                threading.setprofile(None)
                self.base = NOBODY

    def start(self) -> None:
        """Begin to watch this thread and those that it starts."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, result: Any) -> None:
        if event not in ("call", "return"):
            return
        name = self._name_of(frame.f_code)
        if name is None:
            return
        stack: list[tuple[FrameType, str]] = self._local.__dict__.setdefault("stack", [])
        if event == "call":
            before = stack[-1][1] if stack else self._outer()
            role = _role_of(frame) or before
            stack.append((frame, role))
            self._current = role
            if role != before:
                self._cross(name, before, role, dict(frame.f_locals))
        elif stack and stack[-1][0] is frame:
            role = stack.pop()[1]
            after = stack[-1][1] if stack else self._outer()
            self._current = after
            self._returned(frame, name, role, after, result)

    def _outer(self) -> str:
        return self.base if threading.current_thread() is threading.main_thread() else self._current

    def _cross(self, name: str, before: str, role: str, arguments: dict[str, Any]) -> None:
        del arguments["self"]
        for argument, value in arguments.items():
            self.record.add(role, RECEIVED, f"{name}.{argument}", value)
            self.record.add(before, SENT, f"{name}.{argument}", value)

    def _returned(self, frame: FrameType, name: str, role: str, after: str, result: Any) -> None:
        if name == _UNFILLED or not (self.record.keeps(role) or self.record.keeps(after)):
            return
        values = {local: value for local, value in frame.f_locals.items() if local != "self"}
        for local, value in values.items():
            self.record.add(role, COMPUTED, f"{name}.{local}", value)
        self.record.add(role, COMPUTED, f"{name}()", result)
        if role != after:
            self.record.add(role, SENT, f"{name}()", result)
            self.record.add(after, RECEIVED, f"{name}()", result)
            owner = frame.f_locals["self"]
            for part, value in _attributes(owner):
                self.record.add(role, HELD, f"{type(owner).__name__}{part}", value)

    def _name_of(self, code: CodeType) -> str | None:
        """A name for a function of the package; None for others."""
        if code not in self._known:
            self._known[code] = None
            for folder, prefix in _WATCHED.items():
                if code.co_filename.startswith(folder):
                    module = Path(code.co_filename).relative_to(folder).with_suffix("")
                    self._known[code] = f"{prefix}{module}.{code.co_qualname}"
            if (self._known[code] or "").startswith((_PARAMETERS, "crypto/oprf._log_choose")):
                self._known[code] = None
        return self._known[code]

    def _watch_hashes(self, patch: pytest.MonkeyPatch) -> None:
        """Record what the hash functions of hashlib are given: they are no Python functions."""
        for name, module in list(sys.modules.items()):
            if name.startswith("xstat_ray."):
                for key, value in list(vars(module).items()):
                    if value is hashlib:
                        patch.setattr(module, key, _Hashes(self._watched))
                    elif isinstance(value, BuiltinFunctionType) and value.__module__ == "_hashlib":
                        patch.setattr(module, key, self._watched(value))

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            name = function.__name__
            self.record.add(self._current, COMPUTED, f"{name} of", arguments)
            if getattr(result, "digest_size", 0):
                self.record.add(self._current, COMPUTED, f"{name}()", result.digest())
            return result

        return watched


class _Hashes:
    """Stands for hashlib, with functions that are watched."""

    def __init__(self, watched: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self._watched = watched

    def __getattr__(self, name: str) -> Any:
        return self._watched(getattr(hashlib, name))


def _role_of(frame: FrameType) -> str | None:
    """The role whose method this is; None for all other functions."""
    code = frame.f_code
    if code.co_varnames[:1] != ("self",):
        return None
    owner = frame.f_locals["self"]
    if isinstance(owner, Session | KeyHolder) and several_parties(owner):
        # Each is a role by its name. A key holder works for the one that made it.
        return None if isinstance(owner, KeyHolder) else _of_several(owner)
    if isinstance(owner, KeyHolder):
        return "column"
    if isinstance(owner, Aggregator):
        return "aggregator"
    role = getattr(type(owner), "role", None)
    return role if isinstance(role, str) else None


def several_parties(owner: Session | KeyHolder) -> bool:
    """Whether a side of its study has several parties; not before it has its study."""
    study = getattr(owner, "_study", None)
    return study is not None and len(study.parties) > 2


def _of_several(owner: Session) -> str | None:
    """The name of a row party or a column party, once it has one."""
    name = "_row_terms" if owner.role == "row" else "_terms"
    terms = getattr(owner, name, None)
    return owner.role if terms is None else terms.name
