"""Phone numbers in E.164, by `phonenumbers`, a port of Google's libphonenumber.

The parser looks for a number in any text: it reads letters as the digits of a keypad, and digits
after a point as further digits. Two people could so become one, so only what is spelled as one
number and nothing else is parsed, and only what has the shape of its country's numbers is accepted.

Parsing a number takes about 30 microseconds, so numbers in the commonest spellings take a fast
path. The parser returns a number written +<calling code><national number> unchanged unless the
national number begins with a national prefix, which the parser may strip. The metadata of a calling
code tells that, and the shape, for a whole column at once. Japanese numbers with their leading
zero, or without it where a table of numbers has lost it, are turned into that form. Only the others
are parsed one by one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE, region_code_for_country_code

from xstat_ray.inputs.clean_text import fold, unmarked, whole_numbers
from xstat_ray.util.nulls import filled

_LEAST_DIGITS = 7
_MAX_DIGITS = 15
"""Digits of a number in E.164."""
_LONG = 2 + _MAX_DIGITS
"""Stands for all lengths of a text that is too long."""
_E164 = r"^\+[1-9][0-9]{6,14}$"
_EXPONENT = r"^[+-]?[0-9](\.[0-9]+)?[eE]\+?[0-9]{1,3}$"
"""No phone number is a code with an E, so the sign may be missing, as Spark writes it."""
_DASHES = r"\-\x{2010}-\x{2015}\x{2212}\x{30FC}"
_SPELLED = rf"^[+(\[ ]*\p{{Nd}}[\p{{Nd}}()\[\] ./{_DASHES}]*$"
"""One number: digits, and what people write between them."""
_DAMAGED = r"^\+?\p{Nd}+\.\p{Nd}{1,3}$|^[^.]*\.0+$| / |/ *\p{Nd}{1,2}$|\( *\p{Nd}{1,2} *\)$"
"""A fraction, two numbers, or a number with an extension or a count behind it."""
_BETWEEN = rf"[()\[\] ./{_DASHES}]"
_JAPANESE = "JP"
_WITH_ZERO = r"^0([1-9][0-9]{8,9})$"
_DIALLED_ABROAD = "^010"
_WITHOUT_ZERO = r"^((?:[1-79]|8[02-9])[0-9]{8,9})$"
"""Those that begin with 81 may have lost a + instead."""


def to_e164(numbers: pa.Array, region: str | None) -> pa.Array:
    """Bring phone numbers to E.164.

    Args:
        numbers: (N,) text.
        region: country whose national numbers are understood (ISO 3166 letters); with None only
            numbers that begin with + are.

    Returns:
        (N,) text. Null stands for what is not spelled as one phone number, has not the shape of its
        country's numbers, has an extension, is dialled only locally, or whose E.164 form would be
        read as yet another number.
    """
    known, impossible = _classify(numbers)
    result = np.full(len(numbers), None, object)
    if known.all():
        return numbers.cast(pa.string())
    result[known] = numbers.filter(pa.array(known)).to_numpy(zero_copy_only=False)
    rest = np.flatnonzero(~known & ~impossible)
    spelled = _spelled(numbers.take(pa.array(rest)))
    quick = _quick(spelled, region)
    found, _ = _classify(quick)
    result[rest[found]] = quick.filter(pa.array(found)).to_numpy(zero_copy_only=False)
    # What was turned into E.164 and has no possible shape would be refused by the parser, too.
    left = np.flatnonzero(
        quick.is_null().to_numpy(zero_copy_only=False)
        & spelled.is_valid().to_numpy(zero_copy_only=False)
    )
    result[rest[left]] = _parse_all(spelled.take(pa.array(left)), region)
    return pa.array(result, pa.string())


def in_e164_of(region: str | None, numbers: pa.Array) -> NDArray[np.bool_]:
    """Tell which numbers are E.164 of a country already, as `to_e164` would leave them.

    Most tables hold nearly nothing else, so this takes two regular expressions in all.

    Args:
        region: the country (ISO 3166 letters); None gives False everywhere.
        numbers: (N,) text; may hold nulls.
    """
    code = phonenumbers.country_code_for_region(region) if region else 0
    if not code:
        return np.zeros(len(numbers), bool)
    lengths, whole, prefixed = _written_patterns(code)
    sizes = filled(pc.binary_length(numbers), 0).to_numpy(zero_copy_only=False)
    known: NDArray[np.bool_] = lengths[sizes.clip(max=_LONG)]
    known &= _matches(numbers, whole)
    if prefixed is not None:
        known &= ~_matches(numbers, prefixed)
    return known


def _matches(numbers: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """(N,) whether a regular expression matches; null does not."""
    matched = filled(pc.match_substring_regex(numbers, pattern), False)
    found: NDArray[np.bool_] = matched.to_numpy(zero_copy_only=False)
    return found


@cache
def _written_patterns(code: int) -> tuple[NDArray[np.bool_], str, str | None]:
    """List what tells numbers in E.164 of a calling code.

    Returns:
        Which lengths their texts have, a regular expression for them, and one for those with a
        national prefix, which are others.
    """
    metadata = _metadata(code)
    lengths = np.zeros(_LONG + 1, bool)
    digits = len(str(code))
    for national in metadata.general_desc.possible_length:
        if _LEAST_DIGITS <= digits + national <= _MAX_DIGITS:
            lengths[1 + digits + national] = True
    prefix = metadata.national_prefix_for_parsing
    whole = rf"^\+{code}(?:{metadata.general_desc.national_number_pattern})$"
    return lengths, whole, rf"^\+{code}(?:{prefix})" if prefix else None


def _spelled(numbers: pa.Array) -> pa.Array:
    """Keep what is spelled as one number; null elsewhere."""
    texts = whole_numbers(
        pc.replace_substring_regex(unmarked(fold(numbers)), "^(?i:tel): *", ""),
        exponent=_EXPONENT,
    )
    fits = pc.and_(
        pc.match_substring_regex(texts, _SPELLED),
        pc.invert(pc.match_substring_regex(texts, _DAMAGED)),
    )
    return pc.if_else(fits, texts, pa.scalar(None, pa.string()))


def _quick(spelled: pa.Array, region: str | None) -> pa.Array:
    """E.164 of numbers for which it follows from their digits alone; null elsewhere."""
    digits = pc.replace_substring_regex(spelled, _BETWEEN, "")
    nothing = pa.scalar(None, pa.string())
    written, _ = _classify(digits)
    quick = pc.if_else(pa.array(written), digits, nothing)
    if region != _JAPANESE:
        return quick
    with_zero = pc.and_(
        pc.match_substring_regex(digits, _WITH_ZERO),
        pc.invert(pc.match_substring_regex(digits, _DIALLED_ABROAD)),
    )
    national = pc.if_else(with_zero, pc.utf8_slice_codeunits(digits, 1), nothing)
    without_zero = pc.match_substring_regex(digits, _WITHOUT_ZERO)
    national = pc.if_else(without_zero, digits, national)
    return pc.coalesce(quick, pc.binary_join_element_wise("+81", national, ""))


def _parse_all(numbers: pa.Array, region: str | None) -> NDArray[np.object_]:
    """(N,) E.164 or None, number by number."""
    parsed = pa.array([_parse(n, region) for n in numbers.to_pylist()], pa.string())
    # Some parsed forms begin with a national prefix again; only a fixed point names one subscriber.
    stable, _ = _classify(parsed)
    unstable = np.flatnonzero(~stable)
    again = [
        n is not None and _parse(n, region) == n
        for n in parsed.take(pa.array(unstable)).to_pylist()
    ]
    stable[unstable] = again
    result: NDArray[np.object_] = pc.if_else(
        pa.array(stable), parsed, pa.scalar(None, pa.string())
    ).to_numpy(zero_copy_only=False)
    return result


def _classify(numbers: pa.Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell two masks (N,): numbers in E.164, and numbers written so that are impossible."""
    known = np.zeros(len(numbers), bool)
    impossible = np.zeros(len(numbers), bool)
    written = (
        pc.match_substring_regex(numbers, _E164).fill_null(False).to_numpy(zero_copy_only=False)
    )
    rows = np.flatnonzero(written)
    candidates = numbers.take(pa.array(rows))
    leading = pc.utf8_slice_codeunits(candidates, 1, 4).dictionary_encode()
    codes = np.array([_calling_code(digits) for digits in leading.dictionary.to_pylist()], np.int32)
    code_of = (
        codes[leading.indices.to_numpy(zero_copy_only=False)]
        if len(rows)
        else np.zeros(0, np.int32)
    )
    for code in np.flatnonzero(np.bincount(code_of)).tolist():
        of_code = rows[code_of == code]
        if code == 0:
            impossible[of_code] = True
            continue
        pattern, prefix = _national_patterns(code)
        national = pc.utf8_slice_codeunits(numbers.take(pa.array(of_code)), 1 + len(str(code)))
        possible = pc.and_(
            pc.match_substring_regex(national, pattern),
            pc.match_substring_regex(national, _shape(code)),
        ).to_numpy(zero_copy_only=False)
        stripped = np.zeros(len(of_code), bool)
        if prefix is not None:
            stripped = pc.match_substring_regex(national, prefix).to_numpy(zero_copy_only=False)
        known[of_code] = possible & ~stripped
        impossible[of_code] = ~possible & ~stripped
    return known, impossible


def _calling_code(digits: str) -> int:
    """Calling code that `digits` begin with, 0 if there is none; no code begins another."""
    return next(
        (int(digits[:n]) for n in (1, 2, 3) if int(digits[:n]) in COUNTRY_CODE_TO_REGION_CODE), 0
    )


@cache
def _national_patterns(code: int) -> tuple[str, str | None]:
    """Regular expressions for national numbers of a possible length and with a prefix."""
    metadata = _metadata(code)
    lengths = "|".join(f"[0-9]{{{n}}}" for n in metadata.general_desc.possible_length)
    prefix = metadata.national_prefix_for_parsing
    return f"^(?:{lengths})$", f"^(?:{prefix})" if prefix else None


@cache
def _shape(code: int) -> str:
    """Regular expression for the national numbers of a calling code."""
    return f"^(?:{_metadata(code).general_desc.national_number_pattern})$"


def _metadata(code: int) -> Any:
    region = region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    assert metadata is not None
    assert metadata.general_desc is not None
    return metadata


def _parse(number: str | None, region: str | None) -> str | None:
    if number is None:
        return None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    reason = phonenumbers.is_possible_number_with_reason(parsed)
    if parsed.extension or reason != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    if not re.match(_shape(parsed.country_code), phonenumbers.national_significant_number(parsed)):
        return None
    result = str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    # Some countries' possible lengths exceed the 15 digits of E.164.
    return result if len(result) <= 1 + _MAX_DIGITS else None
