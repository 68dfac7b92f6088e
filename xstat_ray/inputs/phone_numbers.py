"""Phone numbers in E.164, by `phonenumbers`, a port of Google's libphonenumber.

Parsing a number takes about 30 microseconds, so numbers that are already in E.164 take a fast path.
The parser returns a number written +<calling code><national number> unchanged unless the national
number begins with a national prefix, which the parser may strip; and the number is possible if its
length is one of the country's. The metadata of a calling code tells both for a whole column at
once. Only numbers that begin like a national prefix, or are written in another way, are parsed one
by one.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from phonenumbers.phonenumberutil import COUNTRY_CODE_TO_REGION_CODE, region_code_for_country_code

_MAX_DIGITS = 15
_E164 = r"^\+[1-9][0-9]{6,14}$"


def to_e164(numbers: pa.Array, region: str | None) -> pa.Array:
    """Bring phone numbers to E.164.

    Args:
        numbers: (N,) text after NFKC.
        region: country whose national numbers are understood (ISO 3166 letters); with None only
            numbers that begin with + are.

    Returns:
        (N,) text. Null stands for what cannot be a phone number, has an extension, is dialled only
        locally, or whose E.164 form would be read as yet another number.
    """
    known, impossible = _classify(numbers)
    if known.all():
        return numbers.cast(pa.string())
    rest = np.flatnonzero(~known & ~impossible)
    parsed = pa.array(
        [_parse(n, region) for n in numbers.take(pa.array(rest)).to_pylist()], pa.string()
    )
    # Some parsed forms begin with a national prefix again; only a fixed point names one subscriber.
    stable, _ = _classify(parsed)
    unstable = np.flatnonzero(~stable)
    again = [
        n is not None and _parse(n, region) == n
        for n in parsed.take(pa.array(unstable)).to_pylist()
    ]
    stable[unstable] = again
    result = np.full(len(numbers), None, object)
    result[known] = numbers.filter(pa.array(known)).to_numpy(zero_copy_only=False)
    result[rest[stable]] = parsed.filter(pa.array(stable)).to_numpy(zero_copy_only=False)
    return pa.array(result, pa.string())


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
        possible = pc.match_substring_regex(national, pattern).to_numpy(zero_copy_only=False)
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
    region = region_code_for_country_code(code)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    assert metadata is not None
    assert metadata.general_desc is not None
    lengths = "|".join(f"[0-9]{{{n}}}" for n in metadata.general_desc.possible_length)
    prefix = metadata.national_prefix_for_parsing
    return f"^(?:{lengths})$", f"^(?:{prefix})" if prefix else None


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
    result = str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
    # Some countries' possible lengths exceed the 15 digits of E.164.
    return result if len(result) <= 1 + _MAX_DIGITS else None
