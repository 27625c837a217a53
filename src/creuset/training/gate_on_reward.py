"""The gate's question to a reward: does it tell answers apart at all?

A reward that is worth the same whatever is answered teaches nothing, and its training would run to its end
without a word. It is asked of answers that are there anyway: those of the data, to their own questions and to
others', and an empty one. Where they are all worth the same, the model answers a few prompts itself; a reward
that is the same for these as well is refused.

Legend of shapes: P prompts, G answers to each.
"""

import torch

from creuset.errors import DataError, GateError
from creuset.generation.answers import asking_rows, first_answer
from creuset.training.policy import PolicyLoss, asked_by, drawn
from creuset.training.rewards import require_varied, reward_place, rewards_of, value_of

_ROWS = 32
_PROMPTS = 4


def look_at_reward(policy: PolicyLoss) -> str:
    """What the gate found, as a line for people.

    Args:
        policy: The loss of a model that learns from rewards, before its training.

    Raises:
        GateError: The reward is the same for every answer; the function's file and line are named.
        DataError: It gives no number.
    """
    tokenizer = policy.dataset.tokenizer
    assert tokenizer is not None
    rows = asking_rows(policy.dataset, "train", _ROWS)
    known = [first_answer(row, tokenizer) for row in rows]
    others = [*known[1:], ""]
    values = torch.tensor(
        [
            value_of(policy.reward, asked, answer)
            for asked, own, other in zip(asked_by(rows), known, others, strict=True)
            for answer in (own, other)
        ],
        dtype=torch.float64,
    )
    if bool((values != values[0]).any()):
        return (
            f"{len(values)} answers of the data are worth {float(values.min()):.4g} to "
            f"{float(values.max()):.4g}"
        )
    settings, asked = policy.settings, rows[:_PROMPTS]
    rollouts = drawn(
        policy.model,
        policy.dataset,
        asked,
        settings,
        num_each=settings.num_answers,
        seed=policy.seed,
        labels=("gate",),
    )
    own_values = rewards_of(policy.reward, asked_by(asked), rollouts)
    place = reward_place(policy.reward)
    try:
        require_varied([values, own_values], where=place)
    except DataError as error:
        shown, first = rollouts[0][0].answer, asked_by(asked)[0]
        raise GateError(
            f"the gate refuses this tuning\n  {place}: {error.message}",
            got=f"{error.got}, of the data and of the model; one to {first.prompt!r:.80}: {shown!r:.80}",
            expected=error.expected,
            next_step=error.next_step,
        ) from error
    return f"{own_values.numel()} answers of the base are worth {float(own_values.min()):.4g} to " + (
        f"{float(own_values.max()):.4g}"
    )
