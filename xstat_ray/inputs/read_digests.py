"""Digests of what was read of a party's tables: what is read again must be the same.

A table is read several times, by steps that may lie days apart, and a choice that was made by one
reading must fit the next. So each column of each piece of a file is hashed as it is read, row by
row, and nothing is read for the sake of a digest. A digest does not depend on how Arrow cuts a
piece into batches, nor on which texts a dictionary holds. Beside the digests stand the sizes and
times of change of all files, which tell of a change in what was not read yet.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from cryptography.hazmat.primitives.ciphers import (
    AEADEncryptionContext,
    Cipher,
    algorithms,
    modes,
)
from numpy.typing import NDArray

from xstat_ray.crypto.derive import derive, keyed_text_words
from xstat_ray.errors import InputError
from xstat_ray.inputs.table_files import Stamp, TableFile, stamp_of
from xstat_ray.inputs.text_index import to_bytes
from xstat_ray.util.nulls import filled
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.threads import each_waiting

_SHORT = 64
"""Bytes of the texts that are hashed many at a time; longer ones are rare."""
_NULL = np.iinfo(np.int64).min
"""Stands for a missing time."""
_ZONED = np.int64(1 << 62)


@dataclass
class _File:
    """What is known of a file: its size and time of change, and the digests of its columns."""

    stamp: Stamp | None
    digests: dict[str, str] = field(default_factory=dict)
    """Digest of each column of each piece, in hex, by piece/column."""
    path: str = ""
    """Where it lies, if it has been listed here."""


class ReadDigests(Secret):
    """What one environment of a party has read of its table and of its lists, as digests."""

    def __init__(self, key: bytes) -> None:
        """Start without anything that was read.

        Args:
            key: 16 secret bytes of the party; without them a digest tells nothing.
        """
        self._key = key
        self._column_key = derive(key, "columns")
        self._files: dict[str, _File] = {}
        self._listed: dict[str, TableFile] = {}
        self._expecting = False
        self._turn = threading.Lock()

    def of(self, table: str) -> TableDigests:
        """Return what notes the readings of one table.

        Args:
            table: its name, by which a later step finds it again.
        """
        return TableDigests(self, table)

    # Across steps and environments

    def export(self) -> bytes:
        """Write down what was read; goes to the party's own folder or environments alone."""
        with self._turn:
            files = {
                name: {"stamp": file.stamp, "digests": file.digests}
                for name, file in sorted(self._files.items())
            }
            return json.dumps(files).encode()

    def export_since(self, earlier: bytes) -> bytes:
        """Write down what was read since `export` gave `earlier`, without stamps."""
        known = json.loads(earlier)
        new = {
            name: {"stamp": None, "digests": digests}
            for name, file in json.loads(self.export()).items()
            if (digests := _without(file["digests"], known.get(name, {}).get("digests", {})))
        }
        return json.dumps(new).encode()

    def expect(self, exported: bytes, stamps: bool = True) -> None:
        """Take what an earlier step, or another environment, has read.

        Args:
            exported: what `export` gave, with the same key.
            stamps: whether sizes and times of change must be the same too, as those of the same
                files at the same place are.

        Raises:
            InputError: it differs from what was read here.
        """
        self._expecting = True
        for name, file in json.loads(exported).items():
            stamp = Stamp(*file["stamp"]) if stamps and file["stamp"] else None
            with self._turn:
                known = self._files.setdefault(name, _File(stamp))
            self._note(name, known, file["digests"])

    def digest(self) -> str:
        """Hash all that was read, in hex: equal where the same was read, wherever that lies."""
        with self._turn:
            digests = {name: file.digests for name, file in self._files.items()}
            whole = json.dumps(digests, sort_keys=True).encode()
        return hmac.digest(self._key, whole, "sha256").hex()

    def digest_of_all(self, digests: Sequence[str]) -> str:
        """Hash what `digest` gave in all environments of a party, in hex."""
        return hmac.digest(self._key, json.dumps(digests).encode(), "sha256").hex()

    def check_all_listed(self) -> None:
        """Check that every file of an earlier step is there again.

        Raises:
            InputError: one is not.
        """
        for name in self._files.keys() - self._listed.keys():
            raise _changed(name, "the file was read when the run began, and is gone")

    def check_unchanged(self) -> None:
        """Check that no file has changed since it was listed.

        Raises:
            InputError: one has.
        """
        stored = list[str]()
        for name, file in self._listed.items():
            if file.path.is_local:
                self._check_stamp(name, file)
            else:
                stored.append(name)
        each_waiting(lambda name: self._check_stamp(name, self._listed[name]), stored)

    # While a table is read

    def _list(self, table: str, files: Sequence[TableFile]) -> None:
        """Note the files of a table.

        Raises:
            InputError: an earlier step read other files, or they have changed since.
        """
        listed = {f"{table}/{file.name}": file for file in files}
        before = {name for name in self._files if name.startswith(f"{table}/")}
        for name, file in listed.items():
            if self._expecting and name not in before:
                raise _changed(file.shown, "the file was not there when the run began")
            known = self._files.setdefault(name, _File(file.stamp))
            known.path = file.shown
            if known.stamp not in (None, file.stamp):
                raise _changed(file.shown, CHANGED)
            known.stamp = file.stamp
        # The bytes that a table holds are its own.
        self._listed |= {name: _without_content(file) for name, file in listed.items()}
        for name in before - listed.keys():
            raise _changed(name, "the file was read when the run began, and is gone")

    def _check_stamp(self, name: str, file: TableFile) -> None:
        if stamp_of(file.path) != self._files[name].stamp:
            raise _changed(file.shown, CHANGED)

    def _note(self, name: str, file: _File, digests: Mapping[str, str]) -> None:
        """Note digests, which must be those of an earlier reading where there was one."""
        with self._turn:
            for part, digest in digests.items():
                if file.digests.setdefault(part, digest) != digest:
                    raise _changed(file.path or name, CHANGED)


class TableDigests(Secret):
    """Notes the readings of one table."""

    def __init__(self, digests: ReadDigests, table: str) -> None:
        self._digests = digests
        self._table = table

    def list(self, files: Sequence[TableFile]) -> None:
        """Note which files the table has; see `ReadDigests`.

        Raises:
            InputError: an earlier step read other files, or they have changed since.
        """
        self._digests._list(self._table, files)

    def footer(self, file: TableFile, groups: object) -> None:
        """Note how a file is cut, as its footer tells: by this its pieces are chosen.

        Raises:
            InputError: it was cut in another way before.
        """
        name = f"{self._table}/{file.name}"
        digest = hmac.digest(self._digests._key, repr(groups).encode(), "sha256").hex()[:32]
        self._digests._note(name, self._digests._files[name], {"footer": digest})

    def begin(
        self, file: TableFile, pieces: Sequence[tuple[str, int | None]], columns: Iterable[str]
    ) -> PieceDigests:
        """Start to read pieces of a file, one after the other.

        Args:
            file: the file.
            pieces: name and number of rows of each piece; None is for all rows there are.
            columns: the columns that are read.

        Raises:
            InputError: the file has changed since it was listed.
        """
        return PieceDigests(self._digests, f"{self._table}/{file.name}", file, pieces, columns)


class PieceDigests(Secret):
    """Hashes pieces of a file while they are read."""

    def __init__(
        self,
        digests: ReadDigests,
        name: str,
        file: TableFile,
        pieces: Sequence[tuple[str, int | None]],
        columns: Iterable[str],
    ) -> None:
        if file.content is None:
            digests._check_stamp(name, file)
        self._digests = digests
        self._name = name
        self._file = file
        self._left = list(pieces)
        self._columns = list(columns)
        self._read = 0
        self._running = self._start()
        self._done: dict[str, str] = {}

    def _start(self) -> dict[str, AEADEncryptionContext]:
        return {name: _mac(self._digests._column_key) for name in self._columns}

    def add(self, columns: Mapping[str, pa.Array]) -> None:
        """Take the next rows, (N,) arrays by column."""
        words = {name: row_words(self._digests._key, columns[name]) for name in self._columns}
        rows = len(next(iter(words.values()), ()))
        start = 0
        while start < rows and self._left:
            size = self._left[0][1]
            stop = rows if size is None else min(rows, start + size - self._read)
            for name, running in self._running.items():
                part = np.ascontiguousarray(words[name][start:stop])
                running.authenticate_additional_data(part.view(np.uint8).data)
            self._read += stop - start
            start = stop
            if self._read == size:
                self._end_piece()

    def _end_piece(self) -> None:
        piece, _ = self._left.pop(0)
        for name, running in self._running.items():
            running.finalize()
            self._done[f"{piece}/{name}"] = running.tag.hex()
        self._running = self._start()
        self._read = 0

    def finish(self) -> None:
        """Compare what was read with what was read before.

        Raises:
            InputError: it differs, or the file has changed meanwhile.
        """
        while self._left:
            self._end_piece()
        if self._file.content is None:
            self._digests._check_stamp(self._name, self._file)
        self._digests._note(self._name, self._digests._files[self._name], self._done)


def _without(digests: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {part: digest for part, digest in digests.items() if part not in known}


def _mac(key: bytes) -> AEADEncryptionContext:
    """Start a GMAC (NIST SP 800-38D), the fastest of the keyed hashes.

    All have one nonce, as they must be equal for equal columns. Whoever sees two of them can then
    find collisions, so they stay with the party; `ReadDigests.digest` is what others see.
    """
    return Cipher(algorithms.AES(key), modes.GCM(bytes(12))).encryptor()


def row_words(key: bytes, column: pa.Array) -> NDArray[Any]:
    """(N,) numbers of 64 bits that stand for the values of a column, as `Chunk` holds them.

    Equal values have equal numbers, and of two texts that differ these are equal by chance alone.
    """
    if pt.is_dictionary(column.type):
        words = np.append(_text_words(key, column.dictionary), np.uint64(0))
        codes = filled(column.indices, -1).to_numpy(zero_copy_only=False)
        gathered: NDArray[np.uint64] = words[codes]
        return gathered
    if pt.is_timestamp(column.type):
        clock = filled(column.cast(pa.int64()), _NULL)
        times: NDArray[np.int64] = clock.to_numpy(zero_copy_only=False)
        # A time with a zone is another time than a local one that is written in the same way.
        return times if column.type.tz is None else np.bitwise_xor(times, _ZONED)
    numbers: NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return numbers


def _text_words(key: bytes, texts: pa.Array) -> NDArray[np.uint64]:
    lengths = filled(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    short = lengths <= _SHORT
    words = np.zeros(len(texts), np.uint64)
    few = filled(texts if short.all() else texts.filter(pa.array(short)), "")
    words[short] = keyed_text_words(key, "text", to_bytes(few), lengths[short])
    for place in np.flatnonzero(~short).tolist():
        whole = hmac.digest(key, texts[place].as_py().encode(), "sha256")
        words[place] = int.from_bytes(whole[:8], "little")
    words[texts.is_null().to_numpy(zero_copy_only=False)] = 0
    return words


def _without_content(file: TableFile) -> TableFile:
    return file if file.content is None else replace(file, content=None)


CHANGED = "the file has changed since the run began"


def _changed(file: str, problem: str) -> InputError:
    return InputError(
        problem,
        file=file,
        remedy="Put back what was there, with its time of change, or begin a new run; let nothing "
        "write to tables and lists while a run uses them",
    )
