"""What an answer is worth: a number, by a function of the user's own or by a reward model.

A function is given what its parameters ask for by their names:

    prompt       the text of the user's last turn
    answer       what was answered, without the token that ends it
    messages     all turns before the answer, [{"role": ..., "content": ...}, ...]
    reference    the answer that stands in the data
    record       the values of the row that are no part of the conversation, by name

Two parameters of other names, first of all, are the prompt and the answer.

Legend of shapes: P prompts, G answers to each.
"""

import hashlib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from creuset.data.tuning_rows import Asked
from creuset.errors import DataError, NotFoundError, NumericalError, UsageError
from creuset.training.rollouts import Rollout

Reward = Callable[[Asked, str], Any]
"""What was asked and what was answered, to a number: the higher, the better."""
_BY_NAME = ("prompt", "answer", "messages", "reference", "record")
_SHOWN = 80
"""Characters of a prompt or an answer in an error."""
_LARGEST = 1e18
"""Of a reward: its square, in the loss of a value head, is a number of float32."""
_GO_ON = "correct the reward; a training that had begun goes on from its last checkpoint: train --resume RUN"


@dataclass(frozen=True, kw_only=True)
class OwnReward:
    """A function of the user's own as a reward.

    Args:
        function: The function.
        names: What of `_BY_NAME` it is given by name; without "answer" it is first given prompt and answer.
    """

    function: Callable[..., Any]
    names: tuple[str, ...]

    @classmethod
    def of(cls, function: Callable[..., Any], where: object = "reward") -> "OwnReward":
        """A function, given what its parameters ask for.

        Raises:
            UsageError: It asks for something else, or for no answer.
        """
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):  # a function that is not written in Python may have none
            return cls(function=function, names=())
        parameters = signature.parameters.values()
        takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
        by_name = {each.name for each in parameters if each.kind in (each.KEYWORD_ONLY, _EITHER)}
        names = tuple(name for name in _BY_NAME if name in by_name or takes_all)
        if "answer" in by_name:
            given: tuple[str, ...] = ()
        else:
            given, names = ("", ""), tuple(name for name in names if name not in ("prompt", "answer"))
        try:
            signature.bind(*given, **dict.fromkeys(names))
        except TypeError as error:
            raise UsageError(
                "this function cannot be given what it asks for",
                where=where,
                got=f"{getattr(function, '__name__', 'the function')}{signature}: {error}",
                expected=f"a prompt and an answer, or any of {', '.join(_BY_NAME)} by these names",
            ) from error
        return cls(function=function, names=names)

    def __call__(self, asked: Asked, answer: str) -> Any:
        known = {
            "prompt": asked.prompt,
            "answer": answer,
            "messages": [dict(turn) for turn in asked.messages],
            "reference": asked.reference,
            "record": dict(asked.record),
        }
        # what a stranger's function changes is its own
        named = {name: deepcopy(known[name]) for name in self.names}
        if "answer" in named:
            return self.function(**named)
        return self.function(asked.prompt, answer, **named)


_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD


def rewards_of(reward: Reward, asked: Sequence[Asked], rollouts: Sequence[Sequence[Rollout]]) -> Tensor:
    """What answers are worth, float64 (P, G): float32 would make 1,000,000,001 and 1,000,000,002 one.

    Args:
        reward: Says so.
        asked: What each prompt asks, P.
        rollouts: The answers to each, P lists of G.

    Raises:
        DataError: The reward is no number.
        NumericalError: It is not finite.
    """
    rows = [
        [value_of(reward, one, rollout.answer) for rollout in answers]
        for one, answers in zip(asked, rollouts, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def value_of(reward: Reward, asked: Asked, answer: str) -> float:
    """What one answer is worth; what a stranger's function raises is named with the answer.

    Raises:
        DataError: The reward is no number.
        NumericalError: It is not finite, or too large for float32.
    """
    try:
        value = reward(asked, answer)
        if isinstance(value, str | None):
            raise TypeError(f"{value!r} is no number")
        number = float(value)
    except (Exception, SystemExit) as error:
        raise DataError(
            "the reward gives no number",
            where=reward_place(reward),
            got=f"{error!r:.200} for {_short(answer)}, the answer to {_short(asked.prompt)}",
            expected="a float for each answer",
            next_step=_GO_ON,
        ) from error
    if not abs(number) <= _LARGEST:
        raise NumericalError(
            "the reward is not finite" if not math.isfinite(number) else "the reward is too large",
            where=reward_place(reward),
            got=f"{number:g} for {_short(answer)}, the answer to {_short(asked.prompt)}",
            expected=f"a finite number of at most {_LARGEST:g}",
            next_step=_GO_ON,
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


def load_reward(place: str) -> OwnReward:
    """A function of the user's own: "FILE.py:NAME".

    Args:
        place: The file, which is run, and the function's name.

    Raises:
        UsageError: It is not written so, the file cannot be run, or the function asks for something else.
        NotFoundError: There is no such file, or no such function in it.
    """
    file, colon, name = place.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise UsageError("this names no function", where="reward", got=place, expected="FILE.py:NAME")
    path = Path(file).expanduser()
    if not path.is_file():
        raise NotFoundError("no such file", where=path, expected="a Python file with the reward")
    reward = getattr(_run(path), name, None)
    if not callable(reward):
        raise NotFoundError(
            f'no function "{name}" in this file', where=path, expected=f"def {name}(prompt, answer)"
        )
    return OwnReward.of(reward, path)


def reward_place(reward: Reward) -> str:
    """Where a reward is written, as file:line, or what it is where it has no line of its own."""
    code = getattr(reward.function, "__code__", None) if isinstance(reward, OwnReward) else None
    return "the reward" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def _run(path: Path) -> ModuleType:
    """A file of Python as a module."""
    unique = f"creuset_reward_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module  # as dataclasses in it ask for it
    sys.path.insert(0, str(path.resolve().parent))  # for files beside it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a stranger's code raises
        raise UsageError("this file cannot be run", where=path, got=repr(error)[:200]) from error
    finally:
        sys.path.pop(0)
    return module
