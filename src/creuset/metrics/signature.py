"""Signatures: one short string that says what a score measured, on what, and how it was computed.

    accuracy|v:1|data:3f2a9c01|split:test|n:500|interval:wilson95

The metric stands first, then `name:value` fields in a fixed order: v (the instrument's version), data, split,
n, seed (only where a draw could move the number), then the instrument's own fields by name. Two scores may be
put side by side when their signatures agree; `require_comparable` refuses them otherwise. The model is no
part of a signature: it is what differs between two scores that are compared.

In values, `%`, `|`, `:` and whatever is not printable are percent-encoded as in addresses (UTF-8), so a
signature is one line that any program can split at `|` and then at `:`.

Source: the idea is sacreBLEU's (Post 2018, "A Call for Clarity in Reporting BLEU Scores").
Departures: the data and the interval are part of the signature; the string can be read back.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote, unquote

import numpy as np

from creuset.errors import DataError, GateError, UsageError
from creuset.metrics.score import Better, Score

FieldValue = str | int | float | bool

UNSTATED = "unstated"
"""The data or split of a score for which the caller named none."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_RESERVED = ("metric", "v", "version", "data", "split", "n", "seed")
_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{8})[0-9a-f]*")


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What was measured, on what, computed how.

    Args:
        metric: The measure's name.
        version: The instrument's version, from 1: raised whenever the same input would give another number.
        data: The content hash of the data, 8 hexadecimal digits, or a name.
        split: The part of the data, such as "test".
        n: Samples measured, from 1.
        seed: What decided the draws that the number depends on; None where nothing was drawn.
        extra: The instrument's own choices as (name, value); kept sorted by name.

    Raises:
        UsageError: A name or number that a signature cannot hold.
    """

    metric: str
    version: int
    data: str
    split: str
    n: int
    seed: int | None = None
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "extra", tuple(sorted(self.extra)))
        names = [name for name, _ in self.extra]
        for name in names:
            if not _NAME.fullmatch(name) or name in _RESERVED or names.count(name) > 1:
                raise UsageError(
                    f'a signature cannot hold a field "{name}"',
                    expected=f"lower-case words joined by _, each once, none of {', '.join(_RESERVED)}",
                )
        if not (self.metric and self.data and self.split):
            raise UsageError(
                "a signature needs a metric, data and a split",
                got=f"metric {self.metric!r}, data {self.data!r}, split {self.split!r}",
            )
        if self.version < 1 or self.n < 1 or (self.seed is not None and self.seed < 0):
            raise UsageError(
                f"a signature of {self.metric} cannot hold these numbers",
                got=f"version {self.version}, n {self.n}, seed {self.seed}",
                expected="version and n from 1, seed from 0",
            )

    def fields(self) -> dict[str, str]:
        """Every field by name, as text, in the order of the string."""
        values = {
            "metric": self.metric,
            "version": str(self.version),
            "data": self.data,
            "split": self.split,
            "n": str(self.n),
        }
        if self.seed is not None:
            values["seed"] = str(self.seed)
        return values | dict(self.extra)

    def __str__(self) -> str:
        values = {name: _escape(value) for name, value in self.fields().items()}
        head = values.pop("metric")
        return "|".join([head, *(f"{_written(name)}:{value}" for name, value in values.items())])

    @classmethod
    def parse(cls, text: str) -> "Signature":
        """The signature whose string this is: `parse(str(signature)) == signature`.

        Raises:
            DataError: A text that is not the string of any signature.
        """
        head, *rest = text.split("|")
        values: dict[str, str] = {}
        try:
            for part in rest:
                name, value = part.split(":")
                values[name] = _unescape(value)
            signature = cls(
                metric=_unescape(head),
                version=int(values.pop("v")),
                data=values.pop("data"),
                split=values.pop("split"),
                n=int(values.pop("n")),
                seed=int(values.pop("seed")) if "seed" in values else None,
                extra=tuple(values.items()),
            )
            if str(signature) != text:
                raise ValueError(f"it would be written {signature}")
        except (ValueError, KeyError, UsageError) as error:
            raise DataError(
                "not a signature",
                got=f"{text!r} ({error})",
                expected="metric|v:1|data:HASH|split:NAME|n:N[|seed:S][|name:value in order of name...]",
            ) from error
        return signature


@dataclass(frozen=True, kw_only=True)
class Context:
    """What an instrument cannot know by itself and its signature must say.

    Args:
        data: The content hash of the data in hexadecimal (its first 8 digits are kept), or a name.
        split: The part of the data that was measured.
        seed: Decides the instrument's own draws, such as bootstrap resamples, and stands in the signature
            where something was drawn. The draws of a model being measured are the caller's, made from the
            same seed.
        extra: Further choices that change the number, such as the preprocessing or the hash of a feature
            extractor's weights.
    """

    data: str = UNSTATED
    split: str = UNSTATED
    seed: int = 0
    extra: Mapping[str, FieldValue] = field(default_factory=lambda: MappingProxyType({}))

    def generator(self) -> np.random.Generator:
        """The instrument's random numbers: afresh from the seed, so that samples in the same order are
        resampled alike for each metric and model, as a paired comparison needs."""
        return np.random.default_rng(self.seed)

    def score(
        self,
        *,
        metric: str,
        value: float,
        unit: str,
        better: Better,
        interval: tuple[float, float] | None,
        n: int,
        fields: Mapping[str, FieldValue],
        version: int = 1,
        seeded: bool = False,
    ) -> Score:
        """A score signed with this context.

        Args:
            metric, value, unit, better, interval, n: As in `Score`.
            fields: The instrument's own choices, for the signature.
            version: The instrument's version.
            seeded: Whether a draw could move the value or its interval.

        Raises:
            UsageError: `fields` and `extra` both state a choice.
        """
        both = sorted(set(fields) & set(self.extra))
        if both:
            raise UsageError(
                f"{metric} states {', '.join(both)} itself",
                where="Context.extra",
                next_step="leave these names out of extra",
            )
        signature = Signature(
            metric=metric,
            version=version,
            data=short_hash(self.data),
            split=self.split,
            n=n,
            seed=self.seed if seeded else None,
            extra=tuple((name, _text(choice)) for name, choice in {**self.extra, **fields}.items()),
        )
        return Score(
            metric=metric,
            value=float(value),
            unit=unit,
            better=better,
            interval=None if interval is None else (float(interval[0]), float(interval[1])),
            n=n,
            signature=str(signature),
        )


NO_CONTEXT = Context()
"""Data and split unstated, seed 0: for a number that is looked at by itself."""


def short_hash(data: str) -> str:
    """The first 8 digits of a content hash; a name stays as it is."""
    match = _HASH.fullmatch(data)
    return match.group(1) if match else data


def differences(a: Signature | str, b: Signature | str) -> tuple[str, ...]:
    """The names of the fields in which two signatures differ, a missing field included."""
    left, right = _fields(a), _fields(b)
    return tuple(name for name in {**left, **right} if left.get(name) != right.get(name))


def require_comparable(a: Signature | str, b: Signature | str, *, ignoring: Collection[str] = ()) -> None:
    """Refuse to put two scores side by side that measure different things.

    Args:
        a, b: Two signatures, or their strings.
        ignoring: Names of fields that may differ here, such as "importance_samples" between a bound and an
            exact likelihood.

    Raises:
        GateError: A field differs, or the data of the scores is not stated.
    """
    left, right = _fields(a), _fields(b)
    both = f"{left['metric']} and {right['metric']}" if left["metric"] != right["metric"] else left["metric"]
    differing = [name for name in differences(a, b) if name not in ignoring]
    if differing:
        raise GateError(
            f"these scores cannot be put side by side: they differ in {', '.join(differing)}",
            where=both,
            got="; ".join(
                f"{name} {left.get(name, 'absent')} against {right.get(name, 'absent')}" for name in differing
            ),
            expected="the same in both",
            next_step="measure both on the same data, with the same instrument",
        )
    if "data" not in ignoring and left["data"] == UNSTATED:
        raise GateError(
            "these scores cannot be put side by side: neither says on which data it was measured",
            where=both,
            expected="the content hash of the data in both",
            next_step="give the metric a context: Context(data=HASH, split=NAME)",
        )


def _fields(signature: Signature | str) -> dict[str, str]:
    return (Signature.parse(signature) if isinstance(signature, str) else signature).fields()


def _written(name: str) -> str:
    return "v" if name == "version" else name


def _text(value: FieldValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _escape(value: str) -> str:
    return "".join(
        quote(character, safe="", errors="surrogatepass")
        if character in "%|:" or not character.isprintable()
        else character
        for character in value
    )


def _unescape(value: str) -> str:
    return unquote(value, errors="surrogatepass")
