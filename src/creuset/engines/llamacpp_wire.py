"""A request in the words of llama.cpp's server, and its events in ours."""

import math
from typing import Any

import numpy as np

from creuset.engines.base import FinishReason, TextLogProbs, TokenLogProb
from creuset.engines.request import Request

_SAMPLERS = ["penalties", "temperature", "top_k", "top_p", "min_p"]
"""llama.cpp's names, in the order that `Sampling` promises; logit_bias comes before them all."""
_FORCED = 1e9
"""A bias that makes a token the likeliest whatever its logit."""


def completion_body(
    request: Request, prompt: list[int], max_tokens: int, *, reuse_prompt: bool
) -> dict[str, Any]:
    """What /completion is sent for a request whose prompt has these ids."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "prompt": prompt,
        "n_predict": max_tokens,
        "stream": True,
        "return_tokens": True,
        "samplers": _SAMPLERS,
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_last_n": len(prompt) + max_tokens
        if sampling.penalty_window is None
        else sampling.penalty_window,
        "seed": sampling.seed,
        "n_probs": request.num_logprobs,
        "logit_bias": [
            [token, False if bias == -math.inf else bias] for token, bias in sampling.logit_bias.items()
        ],
        "cache_prompt": reuse_prompt,
    }
    if request.json_schema is not None:
        body["json_schema"] = request.json_schema
    if request.grammar is not None:
        body["grammar"] = request.grammar
    return body


def forced_body(prompt: list[int], token: int) -> dict[str, Any]:
    """What makes /completion generate one given token, as far as no constraint forbids it."""
    return {
        "prompt": prompt,
        "n_predict": 1,
        "temperature": 0,
        "samplers": [],
        "logit_bias": [[token, _FORCED]],
        "return_tokens": True,
    }


def finish_reason(event: dict[str, Any]) -> FinishReason | None:
    """Why an answer ended, if this event ends it."""
    if not event["stop"]:
        return None
    return "length" if event["stop_type"] == "limit" else "stop"


def token_log_probs(event: dict[str, Any], num_alternatives: int) -> tuple[TokenLogProb, ...]:
    """The tokens of an event with their log-probabilities, where these were asked for."""
    return tuple(
        TokenLogProb(
            token_id=token["id"],
            token_bytes=bytes(token["bytes"]),
            log_prob=token["logprob"],
            alternatives=tuple(
                TokenLogProb(
                    token_id=other["id"], token_bytes=bytes(other["bytes"]), log_prob=other["logprob"]
                )
                for other in token["top_logprobs"][:num_alternatives]
            ),
        )
        for token in event.get("completion_probabilities", ())
    )


def text_log_probs(ids: list[int], start: int, scored: list[TokenLogProb]) -> TextLogProbs:
    """The scored tokens of a text as arrays."""
    shape = (len(scored), len(scored[0].alternatives) if scored else 0)
    top = [other for token in scored for other in token.alternatives]
    return TextLogProbs(
        token_ids=np.array(ids, np.int64),
        start=start,
        log_probs=np.array([token.log_prob for token in scored], np.float64),
        top_ids=np.array([other.token_id for other in top], np.int64).reshape(shape),
        top_log_probs=np.array([other.log_prob for other in top], np.float64).reshape(shape),
    )
