"""Numbers as a person reads them: as many digits as mean something, one spelling everywhere.

A score shows two significant digits of its interval's half-width, and no more: 0.9741 [0.9709, 0.9771].
Columns share their decimals, so that the points stand below each other.
"""

import math
from collections.abc import Iterable, Sequence

MINUS = "\N{MINUS SIGN}"

_MAX_DECIMALS = 6
"""More are not read by anybody: then a power of ten is."""
_LARGE, _SMALL = 1e7, 1e-4
"""From here on, and below there, numbers are written as a mantissa and a power of ten."""

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def power_of_ten(exponent: int) -> str:
    """10 to the `exponent`, with superscript digits: 10⁻⁴."""
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def fixed(value: float, decimals: int) -> str:
    """`value` with so many decimals, commas between thousands and a true minus sign.

    What rounds to zero carries no sign. NaN and the infinities are written NaN, ∞ and −∞.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{abs(value):,.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def scientific(value: float, digits: int) -> str:
    """`value` as a mantissa of so many significant digits and a power of ten: 1.25×10⁻⁵."""
    if not math.isfinite(value) or value == 0:
        return fixed(value, 0)
    mantissa, exponent = f"{value:.{max(digits - 1, 0)}e}".split("e")
    return f"{fixed(float(mantissa), max(digits - 1, 0))}×{power_of_ten(int(exponent))}"


def compact(value: float, decimals: int) -> str:
    """`value` with so many decimals, or with a power of ten from 10⁷ on and for more than six decimals."""
    if abs(value) >= _LARGE or decimals > _MAX_DECIMALS:
        return scientific(value, 4)
    return fixed(value, decimals)


def number(value: float, digits: int = 4) -> str:
    """One number by itself: a whole number whole, else `digits` significant digits without trailing zeros."""
    if isinstance(value, int):
        return fixed(value, 0)
    if not math.isfinite(value) or value == 0:
        return fixed(value, 0)
    if not _SMALL <= abs(value) < _LARGE:
        mantissa, _, power = scientific(value, digits).partition("×")
        return f"{_trimmed(mantissa)}×{power}"
    return _trimmed(fixed(value, significant_decimals(value, digits)))


def significant_decimals(value: float, digits: int) -> int:
    """Decimals that show `digits` significant digits of a finite number; 0 at least."""
    if value == 0 or not math.isfinite(value):
        return 0
    return max(digits - 1 - math.floor(math.log10(abs(value))), 0)


def interval_decimals(value: float, interval: tuple[float, float] | None) -> int:
    """Decimals that a score deserves: two digits of its interval's half-width, else four of its value."""
    half_width = 0.0 if interval is None else (interval[1] - interval[0]) / 2
    if half_width > 0 and math.isfinite(half_width):
        return significant_decimals(half_width, 2)
    return significant_decimals(value, 4)


def common_decimals(scores: Iterable[tuple[float, tuple[float, float] | None]]) -> int:
    """Decimals for scores that stand below each other: those that the narrowest interval deserves.

    Values without an interval have a say only where none has one.
    """
    scores = list(scores)
    with_interval = [score for score in scores if score[1] is not None]
    return max((interval_decimals(*score) for score in with_interval or scores), default=0)


def column(values: Sequence[float | None], digits: int = 4) -> list[str]:
    """The numbers of one table column, with the same decimals in each; None is a dash.

    A column of whole numbers (of type int) stays whole. The decimals are those that show `digits`
    significant digits of the largest number and two of the smallest. A column which that cannot serve,
    because it goes beyond 10⁷ or below 10⁻⁴, is written with powers of ten.
    """
    present = [value for value in values if value is not None]
    if all(isinstance(value, int) for value in present):
        return [_or_dash(value, 0) for value in values]
    sizes = [abs(value) for value in present if value != 0 and math.isfinite(value)]
    if sizes and (max(sizes) >= _LARGE or min(sizes) < _SMALL):
        return ["–" if value is None else scientific(value, digits) for value in values]
    decimals = 0
    if sizes:
        decimals = max(significant_decimals(max(sizes), digits), significant_decimals(min(sizes), 2))
    return [_or_dash(value, decimals) for value in values]


def seconds(value: float) -> str:
    """A duration as people say it: 80 ms, 4.2 s, 42 s, 3 min 05 s, 2 h 10 min."""
    if not math.isfinite(value):
        return fixed(value, 0)
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(value / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _or_dash(value: float | None, decimals: int) -> str:
    return "–" if value is None else fixed(value, decimals)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
