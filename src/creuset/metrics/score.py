"""A score as creuset reports it everywhere: a number that carries its unit, interval, n and signature."""

from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One measured number.

    Args:
        metric: The measure's name, such as "accuracy".
        value: The number, in `unit`.
        unit: "fraction", "nats", "bits_per_dim", "score", ...
        better: Whether a higher or a lower value is better.
        interval: The 95% interval (low, high), or None where none can be given.
        n: How many samples the value was computed from.
        signature: What was measured, on what, computed how, as one short string (metrics/signature.py).
    """

    metric: str
    value: float
    unit: str
    better: Better
    interval: tuple[float, float] | None
    n: int
    signature: str

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

    def __str__(self) -> str:
        text = f"{self.metric} {self.value:.6g} {self.unit}"
        if self.interval is not None:
            text += f" [{self.interval[0]:.6g}, {self.interval[1]:.6g}]"
        return f"{text} (n={self.n}, {self.signature})"
