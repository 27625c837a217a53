"""Answers that a model writes to prompts while it is trained on its own answers: drawn, and worth something.

What is drawn follows from the seed and the numbers of the prompts alone, so that a training that is resumed
meets the answers that it would have met. A reward is a number for an answer to a prompt: a function of
Python, or a reward model.

Legend of shapes: P prompts, G answers to each.
"""

import hashlib
import importlib.util
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from creuset.data.tokenizer import Tokenizer
from creuset.data.trained_rows import TrainedText
from creuset.device import derive_seed
from creuset.errors import DataError, NotFoundError, NumericalError, UsageError
from creuset.generation.decoding import Writer
from creuset.generation.sampling import Sampling
from creuset.generation.written_text import TextRequest
from creuset.models.transformer import Transformer

Reward = Callable[[str, str], Any]
"""The prompt and the answer, as texts, to a number: the higher, the better."""
_LARGEST_SEED = 2**32 - 2
_SHOWN = 80
"""Characters of a prompt or an answer in an error."""


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
        for number, prompt in enumerate(prompts)
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


def rewards_of(reward: Reward, prompts: Sequence[str], rollouts: Sequence[Sequence[Rollout]]) -> Tensor:
    """What answers are worth, float32 (P, G).

    Raises:
        DataError: The reward is no number.
        NumericalError: It is not finite.
    """
    rows = [
        [value_of(reward, prompt, rollout.answer) for rollout in answers]
        for prompt, answers in zip(prompts, rollouts, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float32)


def value_of(reward: Reward, prompt: str, answer: str) -> float:
    """What one answer is worth; what a stranger's function raises is named with the answer.

    Raises:
        DataError: The reward is no number.
        NumericalError: It is not finite.
    """
    try:
        value = reward(prompt, answer)
        if isinstance(value, str | None):
            raise TypeError(f"{value!r} is no number")
        number = float(value)
    except Exception as error:
        raise DataError(
            "the reward gives no number",
            where=_short(prompt),
            got=f"{error!r:.200} for {_short(answer)}",
            expected="a float for each answer",
        ) from error
    if not math.isfinite(number):
        raise NumericalError(
            "the reward is not finite",
            where=_short(prompt),
            got=f"{number} for {_short(answer)}",
            expected="a finite number",
        )
    return number


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def require_varied(rewards: Sequence[Tensor], *, where: str = "reward") -> None:
    """Refuses a reward that was the same for all answers seen so far: nothing can be learned from it.

    Args:
        rewards: Of several batches of answers.
        where: What an error is about.

    Raises:
        DataError: They are all equal.
    """
    seen = torch.cat([each.flatten() for each in rewards])
    if len(seen) > 1 and bool((seen == seen[0]).all()):
        raise DataError(
            "the reward is the same for every answer, so that none is better than another",
            where=where,
            got=f"{float(seen[0]):g} for {len(seen):,} answers",
            expected="numbers that differ",
            next_step="give a reward that the model reaches sometimes, or a higher temperature",
        )


def load_reward(place: str) -> Reward:
    """A function of the user's own: "FILE.py:NAME".

    Args:
        place: The file, which is run, and the function's name.

    Raises:
        UsageError: It is not written so, or the file cannot be run.
        NotFoundError: There is no such file, or no such function in it.
    """
    file, colon, name = place.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise UsageError("this names no function", where="reward", got=place, expected="FILE.py:NAME")
    path = Path(file).expanduser()
    if not path.is_file():
        raise NotFoundError("no such file", where=path, expected="a Python file with the reward")
    unique = f"creuset_reward_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # as dataclasses in it ask for it
    sys.path.insert(0, str(path.resolve().parent))  # for files beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a stranger's code raises
        raise UsageError("this file cannot be run", where=path, got=repr(error)[:200]) from error
    finally:
        sys.path.pop(0)
    reward = getattr(module, name, None)
    if not callable(reward):
        raise NotFoundError(
            f'no function "{name}" in this file', where=path, expected=f"def {name}(prompt, answer)"
        )
    found: Reward = reward
    return found


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
