"""Where a token stands: sinusoidal and learned vectors, rotations, and biases by distance.

Source: sinusoidal: Vaswani et al. 2017, "Attention Is All You Need", section 3.5; rotary: Su et al. 2021,
"RoFormer", eq. 34, its scaling "linear": Chen et al. 2023, "Extending Context Window of Large Language Models
via Positional Interpolation", "yarn": Peng et al. 2023, "YaRN", section 3.2, "llama3": Dubey et al. 2024,
"The Llama 3 Herd of Models", as released with it; biases: Raffel et al. 2020, "Exploring the Limits of
Transfer Learning with a Unified Text-to-Text Transformer", section 2.1, as released with it.
Departure of the rotation, with all released weights: feature i turns together with i + D/2, not with i + 1.

Legend of shapes: B batch, H heads, T tokens or queries, S keys, D features of a head, E features.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.errors import UsageError

ScalingKind = Literal["linear", "llama3", "yarn"]
Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of each token's angles, float32, (B or 1, 1, T, D) each."""


def padded_positions(padding: Tensor) -> Tensor:
    """int64 (B, T): how many tokens of the row stand before each; 0 before the first one.

    Args:
        padding: bool (B, T), True where a token is.
    """
    return (padding.long().cumsum(1) - 1).clamp(min=0)


def document_positions(documents: Tensor) -> Tensor:
    """int64 (B, T): the place of each token in its document, which begins where the id changes.

    Args:
        documents: int64 (B, T), the id of each token's document.
    """
    index = torch.arange(documents.shape[1], device=documents.device)
    begins = functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0), value=True)
    return index - torch.where(begins, index, 0).cummax(1).values


def sinusoidal_embedding(positions: Tensor, dim: int) -> Tensor:
    """sin(p / 10000^(2i/E)) at feature 2i and the cosine of the same angle at 2i + 1.

    Args:
        positions: int64 (B, T).
        dim: E, an even number.

    Returns:
        float32 (B, T, E).
    """
    angles = positions[..., None].float() * rotary_frequencies(dim, 10_000.0).to(positions.device)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)  # (B, T, E)


@dataclass(frozen=True, kw_only=True)
class RotaryScaling:
    """How rotations learned on short texts are stretched for longer ones.

    Args:
        kind: "linear" divides all frequencies by the factor; "llama3" and "yarn" leave those whose waves are
            short as they are, divide those whose waves are long, and blend between.
        factor: How many times longer, at least 1.
        original_context_length: Tokens of the texts that were learned from; without effect on "linear".
        low_frequency_factor: "llama3": waves longer than original_context_length / this are divided.
        high_frequency_factor: "llama3": waves shorter than original_context_length / this stay.
        beta_fast: "yarn": frequencies that turn more often than this in the original context stay.
        beta_slow: "yarn": frequencies that turn less often than this are divided.
        attention_factor: "yarn": scales queries and keys alike; None for 0.1 ln(factor) + 1.
        truncate: "yarn": whether the blend's ends are rounded outwards to whole features.
    """

    kind: ScalingKind
    factor: float
    original_context_length: int = 0
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    truncate: bool = True

    def __post_init__(self) -> None:
        numbers = (self.low_frequency_factor, self.high_frequency_factor, self.beta_fast, self.beta_slow)
        if (
            not (math.isfinite(self.factor) and self.factor >= 1)
            or not all(math.isfinite(number) and number > 0 for number in numbers)
            or (self.kind == "llama3" and self.low_frequency_factor >= self.high_frequency_factor)
            or (self.kind != "linear" and self.original_context_length < 1)
            or not (self.attention_factor is None or 0 < self.attention_factor < math.inf)
        ):
            raise UsageError(
                "rotations cannot be stretched so",
                where="RotaryScaling",
                got=self,
                expected="a factor from 1, frequency and attention factors and betas above 0, the low one "
                "below the high one, and for llama3 and yarn an original context",
            )

    @property
    def magnitude(self) -> float:
        """What cosine and sine are multiplied by."""
        if self.kind != "yarn":
            return 1.0
        if self.attention_factor is not None:
            return self.attention_factor
        return 0.1 * math.log(self.factor) + 1.0


def rotary_frequencies(dim: int, theta: float, scaling: RotaryScaling | None = None) -> Tensor:
    """theta^(-2i/D), stretched as `scaling` says, in radians a token; float32 (D/2,).

    Args:
        dim: D, an even number.
        theta: The base: the longest wave is a little below 2 pi theta tokens.
        scaling: None for frequencies as they are.
    """
    exponents = torch.arange(0, dim, 2, dtype=torch.int64, device="cpu").float() / dim
    frequencies = 1.0 / theta**exponents
    if scaling is None:
        return frequencies
    if scaling.kind == "linear":
        return frequencies / scaling.factor
    if scaling.kind == "llama3":
        kept = _kept_by_wavelength(frequencies, scaling)
    else:
        kept = _kept_by_turns(dim, theta, scaling)
    return frequencies / scaling.factor * (1 - kept) + frequencies * kept


def _kept_by_wavelength(frequencies: Tensor, scaling: RotaryScaling) -> Tensor:
    """The share of each frequency that stays, from 0 at long waves to 1 at short ones."""
    turns = scaling.original_context_length * frequencies / (2 * math.pi)
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    return ((turns - low) / (high - low)).clamp(0, 1)


def _kept_by_turns(dim: int, theta: float, scaling: RotaryScaling) -> Tensor:
    """The share of each frequency that stays, falling linearly from the first feature to the last."""

    def feature_of(num_turns: float) -> float:
        wavelength = scaling.original_context_length / num_turns
        return dim * math.log(wavelength / (2 * math.pi)) / (2 * math.log(theta))

    first, last = feature_of(scaling.beta_fast), feature_of(scaling.beta_slow)
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, dim - 1)
    span = last - first if last != first else 0.001  # as released: a step, not a division by zero
    features = torch.arange(dim // 2, dtype=torch.float32, device="cpu")
    return 1 - ((features - first) / span).clamp(0, 1)


class Rotary:
    """The rotation of each token by its position. It holds no weights.

    Args:
        dim: D, an even number.
        theta: The base of the frequencies.
        scaling: How they are stretched.
    """

    def __init__(self, dim: int, theta: float, scaling: RotaryScaling | None = None) -> None:
        self.dim, self.theta, self.scaling = dim, theta, scaling
        self.magnitude = 1.0 if scaling is None else scaling.magnitude
        self._frequencies: dict[torch.device, Tensor] = {}

    def __call__(self, positions: Tensor) -> Rotation:
        """Cosine and sine for positions, int64 (B or 1, T)."""
        if positions.device not in self._frequencies:
            frequencies = rotary_frequencies(self.dim, self.theta, self.scaling)
            self._frequencies[positions.device] = frequencies.to(positions.device)
        angles = positions[:, None, :, None].float() * self._frequencies[positions.device]  # (B, 1, T, D/2)
        angles = torch.cat([angles, angles], dim=-1)  # (B, 1, T, D)
        return angles.cos() * self.magnitude, angles.sin() * self.magnitude


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn feature i with i + D/2 of each head by its token's angle: (B, H, T, D) -> (B, H, T, D)."""
    cosine, sine = (part.to(x.dtype) for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat([-second, first], dim=-1) * sine


def relative_bucket(distance: Tensor, *, num_buckets: int, max_distance: int, bidirectional: bool) -> Tensor:
    """The bucket of each distance: near ones have one each, farther ones share, growing as the logarithm.

    Args:
        distance: int64, the key's place less the query's.
        num_buckets: Buckets in all; where bidirectional, half are for keys behind the query.
        max_distance: From this distance on all share the last bucket.
        bidirectional: Otherwise all keys after the query share the bucket of distance 0.

    Returns:
        int64 in [0, num_buckets), of the same shape.
    """
    first = torch.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        first = (distance > 0).long() * num_buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    num_exact = num_buckets // 2
    share = torch.log(distance.clamp(min=1).float() / num_exact) / math.log(max_distance / num_exact)
    far = (num_exact + (share * (num_buckets - num_exact)).long()).clamp(max=num_buckets - 1)
    return first + torch.where(distance < num_exact, distance, far)


class RelativeBias(nn.Module):
    """What each head adds to a score by the distance between query and key.

    Args:
        num_buckets: Learned values a head.
        max_distance: From this distance on all keys share a value.
        num_heads: H.
        bidirectional: Whether keys behind the query have values of their own.
    """

    def __init__(self, num_buckets: int, max_distance: int, num_heads: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.num_buckets = num_buckets
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        self.embedding = nn.Embedding(num_buckets, num_heads)

    def forward(self, query_places: Tensor, num_keys: int) -> Tensor:
        """Biases for queries at places int64 (B or 1, T) of sequences of keys, (B or 1, H, T, S)."""
        keys = torch.arange(num_keys, device=query_places.device)
        buckets = relative_bucket(
            keys - query_places[..., None],
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
            bidirectional=self.bidirectional,
        )
        biases: Tensor = self.embedding(buckets)  # (B, T, S, H)
        return biases.permute(0, 3, 1, 2)  # (B, H, T, S)
