"""Normal forms of ids, by which two parties write one person in one way.

| form | normal form |
|---|---|
| exact | the text itself |
| text | NFKC, stripped, case folded |
| email | NFKC, stripped, lower case, and of the shape name@host.domain |
| phone | E.164, such as +819012345678 |

Two rows are one person's exactly if their normal forms have the same bytes, so an id with a NUL,
which arrays of bytes drop at the end, has no normal form. Every form is idempotent: a normal form
is its own normal form. Callers pass the distinct ids of a
column, which are far fewer than its rows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.inputs.phone_numbers import to_e164
from xstat_ray.model.study import IdForm

_WHOLE = r"(?s)^[^\x00]+$"
"""Anything but nothing, and no NUL in it."""
_EMAIL = r"^[^@\s\pZ]+@[^@\s\pZ.]+(\.[^@\s\pZ.]+)+$"


def normalise(values: pa.Array, form: IdForm, region: str | None = None) -> pa.Array:
    """Bring ids to their normal form.

    Args:
        values: (N,) text, valid UTF-8; may hold nulls.
        form: which normal form the parties agreed on.
        region: for form phone, the country whose national numbers are understood (ISO 3166
            letters).

    Returns:
        (N,) text; null where an id is null, empty, holds a NUL, or has no such form.
    """
    if form == "exact":
        result = values.cast(pa.string())
    elif form == "text":
        result = _fold(values, str.casefold)
    elif form == "email":
        folded = _fold(values, str.lower)
        result = _keep(folded, pc.match_substring_regex(folded, _EMAIL))
    else:
        result = to_e164(_fold(values, str), region)
    whole = pc.and_(pc.match_substring_regex(values, _WHOLE), pc.not_equal(result, ""))
    return _keep(result, whole)


def to_bytes(ids: pa.Array) -> NDArray[np.bytes_]:
    """(N,) ids, none of them null, as bytes of one width, which sort and search fast."""
    width = pc.max(pc.binary_length(ids)).as_py() or 1
    padded = pc.ascii_rpad(ids, width, "\0")
    return np.frombuffer(padded.buffers()[2] or b"", f"S{width}", len(ids), padded.offset * width)


def places(ids: pa.Array, among: NDArray[np.bytes_]) -> NDArray[np.int32]:
    """Find texts among others.

    Args:
        ids: (N,) text; may hold nulls.
        among: (M,) sorted and distinct texts, in the form of `to_bytes`.

    Returns:
        (N + 1,) index of each id in `among`, -1 for null and for ids that are not there. The last
        entry is -1 too, so that the code -1 of a null in a dictionary finds it.
    """
    found = np.full(len(ids) + 1, -1, np.int32)
    present = ids.is_valid().to_numpy(zero_copy_only=False)
    wanted = to_bytes(ids.drop_null())
    place = np.searchsorted(among, wanted)
    place[place == len(among)] = 0
    known = among[place] == wanted if len(among) else np.zeros(len(wanted), bool)
    found[:-1][present] = np.where(known, place, -1)
    return found


def _fold(values: pa.Array, case: Callable[[str], str]) -> pa.Array:
    """Apply NFKC, strip and `case` until nothing changes, as each can undo another."""
    # Printable ASCII is its own NFKC, and there lower case is all that case folding does.
    plain = pc.match_substring_regex(values, "^[ -~]*$")
    trimmed = pc.ascii_trim(values.cast(pa.string()), " ")
    quick = trimmed if case is str else pc.ascii_lower(trimmed)
    rest = values.filter(pc.invert(plain)).to_pylist()
    slow = pa.array([_fold_one(value, case) for value in rest], pa.string())
    return pc.replace_with_mask(quick, pc.invert(plain).fill_null(False), slow)


def _fold_one(text: str, case: Callable[[str], str]) -> str:
    while (folded := case(unicodedata.normalize("NFKC", text)).strip()) != text:
        text = folded
    return text


def _keep(values: pa.Array, condition: pa.Array) -> pa.Array:
    return pc.if_else(condition, values, pa.scalar(None, pa.string()))
