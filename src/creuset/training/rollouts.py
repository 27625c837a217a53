"""Answers that a model writes to prompts while it is trained on its own answers.

What is drawn follows from the seed and the numbers of the prompts alone, so that a training that is resumed
meets the answers that it would have met, however its batches are cut into parts.

Legend of shapes: P prompts, G answers to each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import TrainedText
from creuset.device import derive_seed
from creuset.errors import UsageError
from creuset.generation.decoding import Writer
from creuset.generation.sampling import Sampling
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer

_LARGEST_SEED = 2**32 - 2


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """An answer to a prompt.

    Args:
        text: Prompt and answer as tokens, the answer trained.
        answer: What was written, without the token that ends it.
        ended: Whether the model ended it; False where it was cut at the most tokens.
    """

    text: TrainedText
    answer: str
    ended: bool


def roll_out(
    body: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    num_each: int,
    max_tokens: int,
    temperature: float,
    eos_ids: Sequence[int],
    seed: int,
    labels: Sequence[int | str] = (),
    first: int = 0,
) -> list[list[Rollout]]:
    """Answers to prompts.

    Args:
        body: A decoder; it is in evaluation mode meanwhile.
        tokenizer: Its tokenizer.
        prompts: P of them, as tokens, one at least each.
        num_each: G.
        max_tokens: Of an answer at most.
        temperature: Above 0; at 1 answers are drawn by the model's own probabilities.
        eos_ids: The tokens that end an answer.
        seed: Of the run.
        labels: What the draws are for, such as ("rollouts", 17).
        first: The number of the first prompt: that of its place in the whole batch that these are a part of.

    Returns:
        P lists of G.

    Raises:
        UsageError: A temperature that draws nothing, or a prompt that leaves no room in the context.
    """
    if temperature <= 0:
        raise UsageError(
            "answers that are all the same teach nothing: none is better than another",
            where="temperature",
            got=temperature,
            expected="above 0",
        )
    requests = [
        TextRequest(
            prompt=tuple(prompt),
            max_tokens=max_tokens,
            sampling=Sampling(
                temperature=temperature,
                seed=derive_seed(seed, *labels, number, answer) % _LARGEST_SEED,
            ),
        )
        for number, prompt in enumerate(prompts, first)
        for answer in range(num_each)
    ]
    was_training = body.training
    body.eval()
    try:
        with torch.no_grad():
            written = _written(Writer(body, tokenizer, eos_ids=eos_ids), requests)
    finally:
        body.train(was_training)
    rollouts = [
        _rollout(request, ids, tokenizer, frozenset(eos_ids))
        for request, ids in zip(requests, written, strict=True)
    ]
    return [rollouts[start : start + num_each] for start in range(0, len(rollouts), num_each)]


def _written(writer: Writer, requests: Sequence[TextRequest]) -> list[list[int]]:
    ids: list[list[int]] = [[] for _ in requests]
    for step in writer.write(requests):
        for output in step:
            ids[output.row] += output.token_ids
    return ids


def _rollout(request: TextRequest, ids: Sequence[int], tokenizer: Tokenizer, ends: frozenset[int]) -> Rollout:
    ended = bool(ids) and ids[-1] in ends
    prompt = tuple(request.prompt)
    return Rollout(
        text=TrainedText(ids=(*prompt, *ids), trained=(False,) * len(prompt) + (True,) * len(ids)),
        answer=tokenizer.decode(list(ids[:-1] if ended else ids)),
        ended=ended,
    )
