"""Rotary positions in config.json: the base and its scaling, in the older words and the newer.

older   rope_theta: 10000.0, rope_scaling: null or {rope_type or type: ..., factor: ...}
newer   rope_parameters: {rope_theta: 10000.0, rope_type: default or ..., factor: ...}
"""

import math
from typing import Any

from creuset.layers.positions import RotaryScaling, ScalingKind
from creuset.pretrained.settings import Settings

_KINDS: dict[str, ScalingKind | None] = {
    "default": None,
    "linear": "linear",
    "llama3": "llama3",
    "yarn": "yarn",
}


def read_rotary(
    settings: Settings, context_length: int, *, default_theta: float = 10_000.0
) -> tuple[float, RotaryScaling | None]:
    """The base and the scaling that settings give, in either wording."""
    newer, older = settings.section("rope_parameters"), settings.section("rope_scaling")
    theta = settings.number("rope_theta", default_theta)
    if newer is not None and older is not None:
        raise settings.refusal("rope_scaling", "nothing beside rope_parameters")
    section = newer if newer is not None else older
    return (theta, None) if section is None else read_section(section, context_length, theta)


def read_section(
    section: Settings, context_length: int, default_theta: float
) -> tuple[float, RotaryScaling | None]:
    """The base and the scaling of one section; all of it is read.

    Args:
        section: `rope_parameters`, `rope_scaling`, or the part for one kind of layers.
        context_length: Stands for the original one where the section gives none.
        default_theta: Stands where the section gives no base.
    """
    theta = section.number("rope_theta", default_theta)
    kind = section.choice("rope_type" if section.has("rope_type") else "type", _KINDS, "default")
    section.unused("type")
    scaling = None
    if kind is not None:
        scaling = _scaling(section, kind, context_length)
    section.finish()
    return theta, scaling


def _scaling(section: Settings, kind: ScalingKind, context_length: int) -> RotaryScaling:
    factor = section.number("factor")
    if kind == "linear":
        return RotaryScaling(kind=kind, factor=factor)
    original = section.whole("original_max_position_embeddings", context_length)
    if kind == "llama3":
        return RotaryScaling(
            kind=kind,
            factor=factor,
            original_context_length=original,
            low_frequency_factor=section.number("low_freq_factor"),
            high_frequency_factor=section.number("high_freq_factor"),
        )
    return RotaryScaling(
        kind=kind,
        factor=factor,
        original_context_length=original,
        beta_fast=section.number("beta_fast", 32.0),
        beta_slow=section.number("beta_slow", 1.0),
        attention_factor=_attention_factor(section, factor),
        truncate=section.flag("truncate", True),
    )


def _attention_factor(section: Settings, factor: float) -> float | None:
    """What cosine and sine are multiplied by where settings say it, directly or by two magnitudes."""
    magnitudes = [section.number(name, 0.0) for name in ("mscale", "mscale_all_dim")]
    if section.has("attention_factor"):
        return section.number("attention_factor")
    if not all(magnitudes) or factor <= 1:
        return 1.0 if factor <= 1 else None
    upper, lower = (0.1 * magnitude * math.log(factor) + 1.0 for magnitude in magnitudes)
    return upper / lower


def write_scaling(scaling: RotaryScaling | None) -> dict[str, Any] | None:
    """The section `rope_scaling` of a scaling, or None without."""
    if scaling is None:
        return None
    values: dict[str, Any] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "linear":
        return values
    values["original_max_position_embeddings"] = scaling.original_context_length
    if scaling.kind == "llama3":
        values["low_freq_factor"] = scaling.low_frequency_factor
        values["high_freq_factor"] = scaling.high_frequency_factor
        return values
    values |= {"beta_fast": scaling.beta_fast, "beta_slow": scaling.beta_slow, "truncate": scaling.truncate}
    if scaling.attention_factor is not None:
        values["attention_factor"] = scaling.attention_factor
    return values
