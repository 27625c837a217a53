"""From logits to a token: bias, penalties, temperature, limits, and a draw with a seed of each row.

The order is that of `choose`: bias, penalties, temperature, top_k, top_p, min_p, draw.

Sources: top_k: Fan et al. 2018, "Hierarchical Neural Story Generation"; top_p: Holtzman et al. 2020, "The
Curious Case of Neural Text Degeneration"; min_p: Nguyen et al. 2024, "Turning Up the Heat"; repeat_penalty:
Keskar et al. 2019, "CTRL", section 4.1.
Departure: the repeat penalty multiplies logits that are not above 0, as all later programs do, since dividing
would favour them.

Legend of shapes: B rows, V vocabulary, K alternatives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from creuset.errors import NumericalError, UsageError

_LIKELY_ENOUGH = 256
"""top_p looks at so many of the likeliest tokens first: they nearly always hold the probability asked for."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the tokens of one text are chosen. As it is: the likeliest token, always.

    Args:
        temperature: What logits are divided by, finite; 0 takes the likeliest token (greedy) and draws
            nothing.
        top_k: Only so many of the likeliest tokens are left; 0: all.
        top_p: Only the fewest likeliest tokens that together hold this probability are left, in (0, 1].
        min_p: Only tokens with at least this part of the likeliest one's probability are left, in [0, 1).
        repeat_penalty: Logits above 0 of tokens that were there are divided by it, others multiplied; above
            0, 1: off.
        presence_penalty: Taken once from the logit of each token that was there; 0: off.
        frequency_penalty: Taken from it for each time that it was there; 0: off.
        penalty_window: The penalties look at so many last tokens of prompt and answer; None: at all.
        logit_bias: What is added to the logits of tokens, by id; -100 as good as forbids one.
        seed: Decides the draws.

    Raises:
        UsageError: A value out of its range; it is named.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_window: int | None = 64
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        finite, window = math.isfinite, self.penalty_window
        checks = (
            ("temperature", finite(self.temperature) and self.temperature >= 0, "a finite number from 0"),
            ("top_k", self.top_k >= 0, "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "a number in (0, 1]"),
            ("min_p", 0 <= self.min_p < 1, "a number in [0, 1)"),
            ("repeat_penalty", finite(self.repeat_penalty) and self.repeat_penalty > 0, "above 0"),
            ("presence_penalty", finite(self.presence_penalty), "a finite number"),
            ("frequency_penalty", finite(self.frequency_penalty), "a finite number"),
            ("penalty_window", window is None or window >= 1, "at least 1, or None"),
        )
        for name, fits, expected in checks:
            if not fits:
                raise UsageError("out of range", where=name, got=getattr(self, name), expected=expected)
        for token, bias in self.logit_bias.items():
            # -inf forbids a token; the two others would leave nothing to choose from
            if token < 0 or math.isnan(bias) or bias == math.inf:
                raise UsageError(
                    "out of range",
                    where="logit_bias",
                    got=f"{token}: {bias}",
                    expected="a token id: a number",
                )

    @property
    def penalises(self) -> bool:
        """Whether a penalty is on."""
        return self.repeat_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0


@dataclass(frozen=True, kw_only=True)
class TokenScore:
    """A token that was chosen, and how likely the model itself found it.

    Args:
        token_id: Its number.
        log_prob: In nats, before bias, penalties, temperature and limits.
        top_ids: The likeliest tokens in its place, falling.
        top_log_probs: Theirs.
    """

    token_id: int
    log_prob: float
    top_ids: tuple[int, ...]
    top_log_probs: tuple[float, ...]


def with_bias(logits: Tensor, logit_bias: Mapping[int, float]) -> Tensor:
    """Logits (B, V) with a number added to those of some ids."""
    if not logit_bias:
        return logits
    added = torch.zeros_like(logits[:1])
    added[0, list(logit_bias)] = torch.tensor(list(logit_bias.values()), dtype=logits.dtype)
    return logits + added


def without_unknown(logits: Tensor, known: Tensor) -> Tensor:
    """Logits (B, V) with -inf where no token has the id; `known` is bool (V,), True where one has."""
    return logits.masked_fill(~known, float("-inf"))


def penalised(
    logits: Tensor,
    history: Sequence[Sequence[int]],
    *,
    repeat: float = 1.0,
    presence: float = 0.0,
    frequency: float = 0.0,
) -> Tensor:
    """Logits with less for tokens that were there: first the repeat penalty, then the two others.

    Args:
        logits: (B, V).
        history: The tokens that were there, of each row.
        repeat: Divides logits above 0, multiplies others; above 0, 1 for none.
        presence: Taken once.
        frequency: Taken for each time.

    Returns:
        (B, V).
    """
    out = logits.clone()
    for row, tokens in enumerate(history):
        if not tokens:
            continue
        ids, counts = torch.unique(torch.tensor(tokens, device=logits.device), return_counts=True)
        found = out[row, ids]
        found = torch.where(found > 0, found / repeat, found * repeat)
        out[row, ids] = found - presence - frequency * counts.to(found.dtype)
    return out


def top_k(logits: Tensor, k: int) -> Tensor:
    """Logits (B, V) with -inf but for the k largest of each row; k = 0 leaves all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    values, ids = logits.topk(k, dim=-1)
    return torch.full_like(logits, float("-inf")).scatter(-1, ids, values)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Logits (B, V) with -inf but for the fewest likeliest tokens that together hold probability p.

    Args:
        logits: (B, V); -inf counts for nothing.
        p: In (0, 1]; 1 leaves all.
    """
    if p >= 1:
        return logits
    probs = logits.softmax(-1)
    num = min(_LIKELY_ENOUGH, logits.shape[-1])
    largest, ids = probs.topk(num, dim=-1)
    if bool((largest.sum(-1) < p).any()):
        largest, ids = probs.sort(dim=-1, descending=True, stable=True)
    before = largest.cumsum(-1) - largest
    kept = logits.gather(-1, ids).masked_fill(before >= p, float("-inf"))
    return torch.full_like(logits, float("-inf")).scatter(-1, ids, kept)


def min_p(logits: Tensor, p: float) -> Tensor:
    """Logits (B, V) with -inf where a token has less than p times the likeliest one's probability."""
    if p == 0:
        return logits
    probs = logits.softmax(-1)
    return logits.masked_fill(probs < p * probs.amax(-1, keepdim=True), float("-inf"))


def draw(logits: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """A token of each row by its probability, one uniform number a row: int64 (B,).

    Each row draws from its own generator, so that no row depends on which others are there.

    Args:
        logits: (B, V).
        generators: Of each row, on the processor.
    """
    cumulated = logits.double().softmax(-1).cumsum(-1)
    uniform = [torch.rand(1, generator=generator, dtype=torch.float64) for generator in generators]
    # below the whole, so that rounding never leads behind the last token with a probability
    point = torch.stack(uniform).to(logits.device) * cumulated[:, -1:]
    return torch.searchsorted(cumulated, point, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)


def choose(logits: Tensor, sampling: Sampling, history: Sequence[int], generator: torch.Generator) -> int:
    """The next token of one text.

    Args:
        logits: (V,), of any format; counted in float32.
        sampling: How to choose.
        history: All tokens before it, of prompt and answer.
        generator: Of this text; it is drawn from where the temperature is above 0.

    Raises:
        UsageError: No token has a finite logit.
        NumericalError: A logit is not a number, or infinite.
    """
    scores = with_bias(logits[None].float(), sampling.logit_bias)
    if sampling.penalises:
        start = 0 if sampling.penalty_window is None else max(0, len(history) - sampling.penalty_window)
        scores = penalised(
            scores,
            [history[start:]],
            repeat=sampling.repeat_penalty,
            presence=sampling.presence_penalty,
            frequency=sampling.frequency_penalty,
        )
    likeliest = scores.amax(-1, keepdim=True)
    if bool(likeliest.isnan()) or bool(likeliest.isposinf()):
        raise NumericalError(
            "the model computes no probabilities: its logits are not finite numbers",
            got=f"logits of at most {float(likeliest)}",
            expected="finite logits",
            next_step="look at the model's weights: they hold NaN or infinity, or are far too large",
        )
    if not bool(torch.isfinite(likeliest)):
        raise UsageError(
            "no token is left to choose from",
            got=f"logits of at most {float(likeliest)}",
            expected="a finite logit of one token at least",
            next_step="forbid fewer tokens in logit_bias",
        )
    if sampling.temperature == 0:
        return int(scores.argmax())
    # by differences and in float64, so that the smallest temperature leaves the likeliest token at 0
    scores = (scores - likeliest).double() / sampling.temperature
    scores = min_p(top_p(top_k(scores, sampling.top_k), sampling.top_p), sampling.min_p)
    return int(draw(scores, [generator]))


def score_tokens(logits: Tensor, token_ids: Sequence[int], num_alternatives: int) -> list[TokenScore]:
    """How likely each token was, and what else was likely.

    Args:
        logits: (B, V), as the model gave them.
        token_ids: One of each row.
        num_alternatives: K, 0 for none.
    """
    log_probs = functional.log_softmax(logits.float(), dim=-1)
    values, ids = log_probs.topk(min(num_alternatives, log_probs.shape[-1]), dim=-1)
    return [
        TokenScore(
            token_id=token,
            log_prob=float(log_probs[row, token]),
            top_ids=tuple(ids[row].tolist()),
            top_log_probs=tuple(values[row].tolist()),
        )
        for row, token in enumerate(token_ids)
    ]
