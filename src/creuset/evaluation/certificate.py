"""The proof that an exported model answers as the live one does.

Fixed prompts go through both, and a few of a tuned model's own, as tokens. They must be the same tokens on
both sides. Then the live model's greedy answer is forced upon the exported one token by token, and at each
place the log-probabilities of the live model's likeliest 20 tokens are compared. Where the live model ends,
and is so sure of it that the difference that is allowed cannot turn it, the exported one must stop by itself.

    stored as             the largest difference    the mean divergence    stops where the live one does
    safetensors, onnx     1e-4                      -                      yes
    gguf f32, f16         0.2                       2e-4                   yes
    gguf q8_0             3                         0.02                   yes
    gguf q4_0, q4_1       -                         0.05                   yes

llama.cpp keeps keys and values in f16, so that f32 is no nearer than f16. Prompts that are longer than the
model's context are read whole by both sides, and answered from their beginning.

Legend of shapes: S places, V vocabulary, K tokens that are told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.engines.base import FinishReason
from creuset.engines.request import Message, Request
from creuset.engines.token_engine import TokenEngine
from creuset.errors import GateError
from creuset.generation.decoding import Writer
from creuset.generation.sampling import Sampling
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer

Kind = Literal["safetensors", "onnx", "f32", "f16", "q8_0", "q4_0", "q4_1"]
PROMPTS: tuple[str, ...] = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Count from one to five.",
    "Translate to French: Good morning, my friend.",
    "Why is the sky blue? Answer briefly.",
    "def add(a, b):",
    "List three colours, one a line.",
    "Quelle heure est-il ? Répondez d'un mot.",
)
"""Short questions of several kinds, so that a broken word, mark, number or letter is met."""
_NUM_TOP = 20
_TOLD = 512
"""Tokens that the exported model tells of each place; what it leaves out is at most as likely as the last."""
_MAX_TOKENS = 32
OWN_TOKENS = 64
"""Of an answer to a tuned model's own prompt, which is to end within them."""
_FEW_BITS = ("q8_0", "q4_0", "q4_1")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a certificate asks for in nats; None where it does not."""

    largest_difference: float | None = None
    mean_divergence: float | None = None

    @property
    def sure(self) -> float:
        """By how much an end must be likelier than anything else for the exported model to have to stop."""
        return 2.0 if self.largest_difference is None else 2 * self.largest_difference


LIMITS: Mapping[Kind, Limits] = {
    "safetensors": Limits(largest_difference=1e-3, mean_divergence=1e-6),
    "onnx": Limits(largest_difference=1e-3, mean_divergence=1e-6),
    "f32": Limits(largest_difference=0.2, mean_divergence=2e-4),
    "f16": Limits(largest_difference=0.2, mean_divergence=2e-4),
    "q8_0": Limits(largest_difference=3.0, mean_divergence=0.02),
    "q4_0": Limits(mean_divergence=0.05),
    "q4_1": Limits(mean_divergence=0.05),
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The live model's answer to a prompt.

    Args:
        prompt: Its tokens, as many as fit into the context.
        tokens: Of the answer, greedily.
        reason: Why it ended: "stop" for a token that ends answers, "length" for the limit.
        log_probs: Of all tokens at each place of the answer, float32 (S, V).
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    reason: FinishReason
    log_probs: NDArray[np.float32]

    def surely_ends(self, eos_ids: Sequence[int], *, by: float) -> bool:
        """Whether it ends, with an end that is likelier than every other token by so many nats."""
        if self.reason != "stop":
            return False
        last = self.log_probs[-1]
        others = np.delete(last, list(eos_ids))
        return bool(last[list(eos_ids)].max() - others.max() > by)


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What was found, and whether it is within the limits.

    Args:
        kind: How the exported model is stored.
        sha256: Of the exported file; of a folder, that of its weights.
        num_prompts: Prompts that went through both.
        num_places: Places that were compared.
        same_tokens: Whether each prompt was the same tokens on both sides.
        largest_difference: Of log-probabilities of the live model's likeliest tokens, in nats; None where no
            prompt was the same tokens.
        mean_divergence: KL(live || exported) over what both tell, in nats; None likewise.
        num_ends: Answers that the live model surely ends; of 0 nothing was asked about ends.
        num_same_ends: Those of them that the exported one ended there as well.
        passed: Whether all that `LIMITS` asks for holds.
        num_own_prompts: Prompts that are the tuned model's own.
        about: What was compared, by which versions.
        reasons: What does not hold.
    """

    kind: Kind
    sha256: str
    num_prompts: int
    num_places: int
    same_tokens: bool
    largest_difference: float | None
    mean_divergence: float | None
    num_ends: int
    num_same_ends: int
    passed: bool
    num_own_prompts: int = 0
    about: Mapping[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The certificate with its limits, as it lies beside the export."""
        return {"format": 1, **asdict(self), "limits": asdict(LIMITS[self.kind])}

    def require(self) -> None:
        """Refuses an export that does not answer as its model.

        Raises:
            GateError: It did not pass.
        """
        if not self.passed:
            raise GateError(
                "the exported model does not answer as the live one: nothing was exported",
                got="; ".join(self.reasons),
                expected=f"what a certificate of {self.kind} asks for (docs/exports.md)",
                next_step="store numbers in more bits" if self.kind in _FEW_BITS else None,
            )


def told_of_ends(certificate: Mapping[str, Any]) -> str:
    """Whether what was exported stops where the live model does, in a few words; of a certificate's JSON."""
    if certificate["num_ends"]:
        return f"{certificate['num_same_ends']} of {certificate['num_ends']} where the model surely ends"
    return f"none was asked for: the model surely ends none of its {certificate['num_prompts']} answers"


@dataclass(frozen=True, kw_only=True)
class LiveModel:
    """The model that is exported, as it is in memory.

    Args:
        body: The Transformer, with its adapters in use.
        tokenizer: Its tokenizer.
        template: How chats are written for it; None where it knows none: then prompts are plain texts.
        eos_ids: The tokens that end an answer.
    """

    body: Transformer
    tokenizer: Tokenizer
    template: ChatTemplate | None
    eos_ids: tuple[int, ...]

    def ids_of(self, prompt: str) -> tuple[int, ...]:
        """A prompt as tokens."""
        if self.template is None:
            return tuple(self.tokenizer.encode(prompt))
        text = self.template.render([{"role": "user", "content": prompt}], add_generation_prompt=True)
        return tuple(self.tokenizer.encode(text, add_special=False))

    @torch.no_grad()
    def answers(self, prompts: Sequence[str | tuple[int, ...]]) -> list[Answer]:
        """Its greedy answers, with the log-probabilities of all tokens at each place.

        They are written side by side, and each is then read at once.
        """
        limit = self.body.config.context_length
        requests = []
        for prompt in prompts:
            ids = self.ids_of(prompt) if isinstance(prompt, str) else prompt
            if limit is not None and len(ids) >= limit:
                ids = ids[: max(1, limit // 2)]
            most = _MAX_TOKENS if isinstance(prompt, str) else OWN_TOKENS
            most = most if limit is None else max(1, min(most, limit - len(ids)))
            greedy = Sampling(temperature=0.0)
            requests.append(TextRequest(prompt=ids, max_tokens=most, sampling=greedy))
        written: list[list[int]] = [[] for _ in requests]
        for step in Writer(self.body, self.tokenizer, eos_ids=sorted(self.eos_ids)).write(requests):
            for output in step:
                written[output.row] += output.token_ids
        pairs = zip(requests, written, strict=True)
        return [self._read(tuple(request.prompt), tuple(tokens)) for request, tokens in pairs]

    def _read(self, prompt: tuple[int, ...], tokens: tuple[int, ...]) -> Answer:
        """An answer with what the model thinks of each of its tokens."""
        device = self.body.token_embedding.weight.device
        whole = torch.tensor([[*prompt, *tokens[:-1]]], device=device)
        states = self.body.hidden(whole)[0, len(prompt) - 1 :]
        log_probs = self.body.logits(states).float().log_softmax(-1)
        reason: FinishReason = "stop" if tokens[-1] in self.eos_ids else "length"
        return Answer(prompt=prompt, tokens=tokens, reason=reason, log_probs=log_probs.cpu().numpy())


def certify(
    live: LiveModel,
    exported: TokenEngine,
    *,
    kind: Kind,
    sha256: str,
    about: Mapping[str, str] | None = None,
    prompts: Sequence[str] = PROMPTS,
    own: Sequence[tuple[int, ...]] = (),
) -> Certificate:
    """Compares an exported model with the live one.

    Args:
        live: The model that was exported.
        exported: What was written, opened.
        kind: How it is stored.
        sha256: Of what was written.
        about: What was compared, by which versions, for the certificate.
        prompts: Short ones; one at least.
        own: What a tuned model was asked in its training, as tokens: it ends its answers to these.
    """
    differences: list[NDArray[np.float64]] = []
    divergences: list[NDArray[np.float64]] = []
    other_tokens: list[str] = []
    ends: list[bool] = []
    everything: list[str | tuple[int, ...]] = [*prompts, *own]
    for prompt, answer in zip(everything, live.answers(everything), strict=True):
        if isinstance(prompt, str) and _read(exported, prompt, live) != live.ids_of(prompt):
            other_tokens.append(prompt)
            continue
        ids = [*answer.prompt, *answer.tokens]
        told = exported.log_probs(
            ids, start=len(answer.prompt), num_top=min(_TOLD, answer.log_probs.shape[1])
        )
        found = _found(answer.log_probs, told.top_ids, told.top_log_probs)
        differences.append(found[0])
        divergences.append(found[1])
        is_told = bool(np.isfinite(found[0]).all())  # else it is refused, and nothing can be drawn from it
        if is_told and answer.surely_ends(live.eos_ids, by=LIMITS[kind].sure):
            ends.append(_stops(exported, (*answer.prompt, *answer.tokens[:-1])))
    return _judged(
        Certificate(
            kind=kind,
            sha256=sha256,
            num_prompts=len(prompts) + len(own),
            num_own_prompts=len(own),
            num_places=sum(map(len, differences)),
            same_tokens=not other_tokens,
            largest_difference=float(np.concatenate(differences).max()) if differences else None,
            mean_divergence=float(np.concatenate(divergences).mean()) if divergences else None,
            num_ends=len(ends),
            num_same_ends=sum(ends),
            passed=False,
            about={} if about is None else about,
        ),
        other_tokens,
    )


def _read(exported: TokenEngine, prompt: str, live: LiveModel) -> tuple[int, ...]:
    """A prompt as the exported model reads it."""
    return tuple(exported.prompt_ids(_request(prompt, live.template is not None)))


def _stops(exported: TokenEngine, ids: tuple[int, ...]) -> bool:
    """Whether the exported model ends its answer here."""
    request = Request(prompt=ids, max_tokens=2, sampling=Sampling(temperature=0.0))
    found = exported.complete(request)
    return found.finish_reason == "stop" and len(found.token_ids) <= 1


def _request(prompt: str, is_chat: bool) -> Request:
    greedy = Sampling(temperature=0.0)
    if not is_chat:
        return Request(prompt=prompt, max_tokens=_MAX_TOKENS, sampling=greedy)
    message = Message(role="user", content=prompt)
    return Request(messages=(message,), max_tokens=_MAX_TOKENS, sampling=greedy)


def _found(
    live: NDArray[np.float32], top_ids: NDArray[np.int64], top_log_probs: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At each place the largest difference over the live model's likeliest tokens, and the divergence.

    Args:
        live: Log-probabilities of all tokens, (S, V).
        top_ids, top_log_probs: The exported model's likeliest tokens, (S, K).
    """
    exported = np.repeat(top_log_probs[:, -1:], live.shape[1], axis=1)
    np.put_along_axis(exported, top_ids, top_log_probs, axis=1)
    wide = live.astype(np.float64)
    chosen = np.argsort(-wide, axis=1)[:, :_NUM_TOP]
    apart = np.abs(np.take_along_axis(wide - exported, chosen, axis=1)).max(1)
    own = np.take_along_axis(wide, top_ids, axis=1)
    p, q = np.exp(own), np.exp(top_log_probs)
    rest_p, rest_q = (np.clip(1 - side.sum(1), 1e-12, 1) for side in (p, q))
    divergence = (p * (own - top_log_probs)).sum(1) + rest_p * np.log(rest_p / rest_q)
    return apart, divergence


def _judged(found: Certificate, other_tokens: Sequence[str]) -> Certificate:
    """The certificate with what it is worth."""
    limits = LIMITS[found.kind]
    reasons = [f'other tokens for "{prompt}"' for prompt in other_tokens]
    for what, value, limit in (
        ("log-probabilities differ by", found.largest_difference, limits.largest_difference),
        ("distributions diverge on average by", found.mean_divergence, limits.mean_divergence),
    ):
        if limit is not None and value is not None and not value <= limit:
            reasons.append(f"{what} {value:.4g} nats, more than {limit:g}")
    if found.num_same_ends < found.num_ends:
        missed = found.num_ends - found.num_same_ends
        reasons.append(f"{missed} of {found.num_ends} answers go on where the live model ends")
    return replace(found, passed=not reasons, reasons=tuple(reasons))
