"""What answers are worth to a model that learns from rewards: a function of the user's, or a reward model."""

from dataclasses import replace

import torch

from creuset.data.trained_rows import TrainedRows, answer_text
from creuset.data.tuning_rows import Asked
from creuset.errors import UsageError
from creuset.models.tuned import Tuned
from creuset.models.tuned_config import TunedConfig
from creuset.recipe.sections import FamilyConfig
from creuset.training.policy import PolicyLoss
from creuset.training.rewards import Reward, load_reward
from creuset.training.session import Session
from creuset.training.update import own_parts
from creuset.workflows.first_stage import RUN
from creuset.workflows.load import load
from creuset.workflows.run_data import base_text


def reward_of(model: FamilyConfig) -> Reward | None:
    """What a recipe's `objective.reward` names; None of a recipe without one.

    Raises:
        NotFoundError, UsageError: It is not there, or is no reward.
    """
    if not isinstance(model, TunedConfig) or model.objective.reward is None:
        return None
    place = model.objective.reward
    return _of_run(place.removeprefix(RUN)) if place.startswith(RUN) else load_reward(place)


def with_policy(session: Session) -> Session:
    """The session with the loss of a model that learns from rewards, where it is one."""
    reward, section = reward_of(session.recipe.model), session.recipe.model
    if reward is None:
        return session
    assert isinstance(section, TunedConfig)
    assert isinstance(session.model, Tuned)
    training = session.recipe.training
    policy = PolicyLoss(
        model=session.model,
        dataset=session.dataset,
        reward=reward,
        settings=section.objective.policy,
        seed=training.seed,
        batches=session.batches,
        parts=own_parts(session.batches.batch_size, training.accumulate, session.processes),
        precision=session.precision,
        processes=session.processes,
    )
    return replace(session, policy=policy)


def _of_run(name: str) -> Reward:
    """The scores of a reward model, which reads an answer behind all turns that it answers."""
    loaded = load(name)
    model = loaded.model
    text = base_text(loaded.recipe.model)
    if not isinstance(model, Tuned) or model.score is None or text is None or text.chat_template is None:
        raise UsageError(
            "this run is no reward model",
            where="objective.reward",
            got=f"{RUN}{name}",
            expected="a run that was tuned with --method reward",
        )
    template, tokenizer, device = text.chat_template, text.tokenizer, loaded.device

    def reward(asked: Asked, answer: str) -> float:
        turn = {"role": "assistant", "content": answer or " "}
        told = answer_text(asked.messages, [turn], template, tokenizer)
        batch = TrainedRows.of([told]).batch(torch.tensor([0]))
        return float(model.rewards({key: value.to(device) for key, value in batch.items()})[0])

    return reward
