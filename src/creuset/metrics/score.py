"""A score as creuset reports it everywhere: a number that carries its unit, interval, n and signature."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from creuset.errors import DataError

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measured number.

    Args:
        metric: The measure's name, such as "accuracy".
        value: The number, in `unit`; finite.
        unit: "fraction", "nats", "bits_per_dim", "score", ...
        better: Whether a higher or a lower value is better.
        interval: The 95% interval (low, high), or None where none can be given.
        n: How many samples the value was computed from.
        signature: What was measured, on what, computed how, as one short string (metrics/signature.py).

    Raises:
        DataError: A value or interval that is not finite, an interval upside down, n below 1, or a direction
            that is neither "higher" nor "lower".
    """

    metric: str
    value: float
    unit: str
    better: Better
    interval: tuple[float, float] | None
    n: int
    signature: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise DataError(f"{self.metric} has no finite value", got=self.value)
        if self.better not in ("higher", "lower"):
            raise DataError(
                f"{self.metric} has no direction", got=repr(self.better), expected="higher or lower"
            )
        if self.n < 1:
            raise DataError(f"{self.metric} was computed from no sample", got=f"n={self.n}")
        if self.interval is not None:
            low, high = self.interval
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise DataError(
                    f"{self.metric} has an impossible interval",
                    got=self.interval,
                    expected="low <= high, finite",
                )

    def to_json(self) -> dict[str, Any]:
        """The wire form that every `--json` uses."""
        return {
            "metric": self.metric,
            "value": self.value,
            "unit": self.unit,
            "better": self.better,
            "interval": None if self.interval is None else list(self.interval),
            "n": self.n,
            "signature": self.signature,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Score":
        """The score whose `to_json` this is.

        Raises:
            DataError: A field that is missing or unknown, or a value that no score can have.
        """
        names = [field.name for field in fields(cls)]
        if sorted(document) != sorted(names):
            raise DataError("not a score", got=", ".join(document), expected=", ".join(names))
        try:
            interval = document["interval"]
            if interval is not None:
                low, high = interval
                interval = (float(low), float(high))
            return cls(
                metric=str(document["metric"]),
                value=float(document["value"]),
                unit=str(document["unit"]),
                better=document["better"],
                interval=interval,
                n=int(document["n"]),
                signature=str(document["signature"]),
            )
        except (TypeError, ValueError) as error:
            raise DataError("not a score", got=str(error), expected="what Score.to_json wrote") from error

    def __str__(self) -> str:
        text = f"{self.metric} {self.value:.6g} {self.unit}"
        if self.interval is not None:
            text += f" [{self.interval[0]:.6g}, {self.interval[1]:.6g}]"
        return f"{text} (n={self.n}, {self.signature})"
