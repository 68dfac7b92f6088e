"""Rounds amounts of privacy, never down."""

from __future__ import annotations

import math
from fractions import Fraction


def round_up(value: Fraction) -> float:
    """The least float that is not below `value`."""
    rounded = float(value)
    return rounded if Fraction(rounded) >= value else math.nextafter(rounded, math.inf)


def decimal(amount: Fraction) -> str:
    """Write it as an exact decimal if it is one of few digits, such as 0.3; else as `readable`."""
    if amount.denominator <= 10**12 and 10**12 % amount.denominator == 0:
        digits = f"{amount.numerator * 10**12 // amount.denominator:013d}"
        return f"{digits[:-12]}.{digits[-12:]}".rstrip("0").rstrip(".")
    return readable(amount)


def readable(epsilon: Fraction) -> str:
    """Write it as a fraction if that is short, such as 1/3; else rounded up to six decimals."""
    if epsilon.denominator <= 10**6:
        return str(epsilon)
    return f"{math.ceil(epsilon * 10**6) / 10**6:.6f}"
