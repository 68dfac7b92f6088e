"""Normal forms of ids, by which two parties write one person in one way.

| form | normal form |
|---|---|
| exact | the text itself |
| text | NFKC, without characters that nobody sees, stripped, case folded |
| email | as text, in lower case, without `mailto:`, and of the shape name@host.domain |
| phone | E.164, such as +819012345678 |
| sha256 | 64 hexadecimal digits in lower case: SHA-256 of an id that was in a normal form |

Two rows are one person's exactly if their normal forms have the same bytes, so an id has no normal
form where that could make two people one: a NUL, which arrays of bytes drop at the end; a number
that a spreadsheet or a float has rounded (`9.01111E+09`, `9007199254740992.0`); characters that
were lost on the way (U+FFFD); and words for nothing (`nan`, `NULL`), which many rows share. A whole
number that was written as a float (`123.0`) is its digits; as an exact id it has no normal form, as
nothing is rewritten there.

Every form is idempotent: a normal form is its own normal form. Callers pass the distinct ids of a
column, which are far fewer than its rows.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.inputs.clean_text import (
    EXPONENT,
    LOST,
    MARKED,
    NULL_WORDS,
    POINT,
    UNSEEN,
    fold,
    unmarked,
    whole_numbers,
)
from xstat_ray.inputs.composite_ids import DIVIDER
from xstat_ray.inputs.phone_numbers import in_e164_of, to_e164
from xstat_ray.model.study import IdForm

_LOST = rf"^$|\x00|{LOST}"
"""Nothing, or anything with a NUL or a character that was lost in it."""
_REWRITTEN = f"{POINT}|{EXPONENT}|{MARKED}|{UNSEEN}"
"""What would have to be rewritten to be understood."""
_DOUBTFUL = (
    r"^['\"`‘’“”].*['\"`‘’“”]$"
    r"|^[+-]?[0-9]{1,3}(,[0-9]{3})+(\.0+)?$|^[+-]?[0-9],[0-9]+e\+?[0-9]+$"
)
"""Quotes that a program has left, and numbers as people read them: the other party has the text
without, and two spellings of one person would not meet."""
_NAMES_SOMEBODY = r"[\pL\pN]"
_NAME = r"[^@\s\pZ<>()\[\],;:\\\"'][^@\s\pZ<>()\[\],;:\\\"]*"
_LABEL = r"[\pL\pM\pN_-]+"
_EMAIL = rf"^{_NAME}@{_LABEL}(\.{_LABEL})+$"
_MAILTO = r"^mailto:([^?]*)(\?.*)?$"
_SHA256 = "^[0-9a-f]{64}$"


def normalise(values: pa.Array, form: IdForm, region: str | None = None) -> pa.Array:
    """Bring ids to their normal form; those with several parts part by part.

    Args:
        values: (N,) text, valid UTF-8; may hold nulls.
        form: which normal form the parties agreed on.
        region: for form phone, the country whose national numbers are understood (ISO 3166
            letters).

    Returns:
        (N,) text; null where an id or a part of it is null, empty, or has no such form.
    """
    if form != "phone":
        return _part_by_part(values, form, region)
    texts = values.cast(pa.string())
    known = in_e164_of(region, texts)
    if known.all():
        return texts
    rest = pa.array(~known)
    return pc.replace_with_mask(texts, rest, _part_by_part(values.filter(rest), form, region))


def _part_by_part(values: pa.Array, form: IdForm, region: str | None) -> pa.Array:
    divided = pc.match_substring(values, DIVIDER).fill_null(False)
    if not pc.any(divided).as_py():
        return _normalise(values, form, region)
    parts = pc.split_pattern(values, DIVIDER)
    normal = _normalise(parts.flatten(), form, region)
    ends = np.cumsum(pc.list_value_length(parts).fill_null(0).to_numpy(zero_copy_only=False))
    lists = pa.ListArray.from_arrays(pa.array(np.append(0, ends), pa.int32()), normal)
    return _keep(pc.binary_join(lists, DIVIDER), values.is_valid())


def _normalise(values: pa.Array, form: IdForm, region: str | None) -> pa.Array:
    whole = pc.invert(pc.match_substring_regex(values, _LOST))
    if form == "exact":
        result = values.cast(pa.string())
        whole = pc.and_(whole, pc.invert(pc.match_substring_regex(values, _REWRITTEN)))
        whole = pc.and_(whole, _is_no_null_word(pc.ascii_trim_whitespace(result)))
    elif form == "text":
        result = whole_numbers(unmarked(fold(values, str.casefold)))
        named = pc.match_substring_regex(result, _NAMES_SOMEBODY)
        named = pc.and_(named, pc.invert(pc.match_substring_regex(result, _DOUBTFUL)))
        whole = pc.and_(whole, pc.and_(named, _is_no_null_word(result)))
    elif form == "email":
        result = pc.replace_substring_regex(fold(values, str.lower), _MAILTO, r"\1")
        whole = pc.and_(whole, pc.match_substring_regex(result, _EMAIL))
    elif form == "sha256":
        result = fold(values, str.lower)
        whole = pc.and_(whole, pc.match_substring_regex(result, _SHA256))
    else:
        result = to_e164(values, region)
    return _keep(result, pc.and_(whole, pc.not_equal(result, "")))


def _is_no_null_word(texts: pa.Array) -> pa.Array:
    return pc.invert(pc.is_in(pc.ascii_lower(texts), pa.array(NULL_WORDS)))


def _keep(values: pa.Array, condition: pa.Array) -> pa.Array:
    return pc.if_else(condition, values, pa.scalar(None, pa.string()))
