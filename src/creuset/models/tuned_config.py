"""What a recipe says of a language model that others trained and that is tuned: `model`, `adapter`,
`objective`."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from creuset.adapters.lora import LoraForm
from creuset.models.tuning import TuningForm, Weights
from creuset.recipe.section import Section
from creuset.recipe.sections import FamilyConfig

_TARGETS = ("q", "v")
_OF_LORA = ("rank", "alpha", "dropout", "targets", "rank_stabilised", "decomposed")
ObjectiveName = Literal["next_token", "dpo", "orpo", "reward", "grpo", "ppo"]
OF_PREFERENCES: tuple[ObjectiveName, ...] = ("dpo", "orpo", "reward")
"""What is learned from two answers of which one is preferred."""


OF_REWARDS: tuple[ObjectiveName, ...] = ("grpo", "ppo")
"""What is learned from rewards of answers that the model writes itself."""


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """How answers are drawn, and how their rewards are learned from; see TuningObjectiveConfig."""

    num_answers: int
    max_answer_tokens: int
    temperature: float
    clip: float
    kl: float
    discount: float
    decay: float
    value_weight: float


class AdapterConfig(Section):
    """Which numbers of a base are trained."""

    kind: Weights = Field(
        "lora",
        description="lora: low-rank updates beside frozen layers; full: every number; head: the head alone, "
        "where it has weights of its own; last: the last blocks, with what stands behind them.",
    )
    rank: int = Field(8, ge=1, description="Of lora: the rank of each update.")
    alpha: float = Field(16.0, gt=0, description="Of lora: updates are scaled by alpha / rank.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Of lora: probability of a zero in what an update reads, in training."
    )
    targets: tuple[str, ...] | str = Field(
        _TARGETS,
        description="Of lora: the layers that have one: all-linear, or names (q, k, v, o, gate, up, down, or "
        "those of Hugging Face), their ends, or patterns.",
    )
    rank_stabilised: bool = Field(
        False, description="Of lora: scale by alpha / sqrt(rank), rsLoRA (Kalajdzievski 2023)."
    )
    decomposed: bool = Field(
        False, description="Of lora: train the norm of each row beside its direction, DoRA (Liu et al. 2024)."
    )
    num_last: int = Field(1, ge=1, description="Of last: how many blocks.")

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        own = type(self).model_fields
        for name in _OF_LORA:
            if self.kind != "lora" and getattr(self, name) != own[name].default:
                raise ValueError(f"{name} is for kind: lora; leave the key out")
        if self.kind != "last" and self.num_last != own["num_last"].default:
            raise ValueError("num_last is for kind: last; leave the key out")
        return self

    @property
    def form(self) -> TuningForm:
        """What is trained."""
        lora = LoraForm(
            rank=self.rank,
            alpha=self.alpha,
            rank_stabilised=self.rank_stabilised,
            decomposed=self.decomposed,
            dropout=self.dropout,
        )
        return TuningForm(weights=self.kind, lora=lora, targets=self.targets, num_last=self.num_last)


class TuningObjectiveConfig(Section):
    """What a tuned language model learns from its data."""

    name: ObjectiveName = Field(
        "next_token",
        description="next_token: to write the answers, or the texts; dpo, orpo: to prefer the chosen answers "
        "of preferences (Rafailov et al. 2023; Hong et al. 2024); reward: to score answers, the chosen ones "
        "higher (Bradley & Terry 1952); grpo, ppo: to write answers that are rewarded (Shao et al. 2024; "
        "Schulman et al. 2017).",
    )
    beta: float = Field(
        0.1, gt=0, description="Of dpo: how strongly the base holds; of orpo: the weight of the odds."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Of dpo: the probability that a judgement is wrong."
    )

    reward: str | None = Field(
        None,
        description="Of grpo and ppo: what an answer is worth: FILE.py:NAME, a function of a prompt and an "
        "answer, or of any of prompt, answer, messages, reference and record by name, that returns a "
        "number, or run:NAME, a reward model that was tuned here.",
    )
    num_answers: int = Field(4, ge=2, description="Of grpo and ppo: answers that are drawn to each prompt.")
    max_answer_tokens: int = Field(64, ge=1, description="Of grpo and ppo: tokens of an answer at most.")
    temperature: float = Field(1.0, gt=0, description="Of grpo and ppo: at which answers are drawn.")
    clip: float = Field(
        0.2, gt=0, lt=1, description="Of grpo and ppo: beyond it a token gains nothing by moving further."
    )
    kl: float = Field(
        0.02, ge=0, description="Of grpo and ppo: the price of a nat by which the model leaves its base."
    )
    discount: float = Field(1.0, gt=0, le=1, description="Of ppo: gamma.")
    decay: float = Field(0.95, ge=0, le=1, description="Of ppo: lambda of generalized advantages.")
    value_weight: float = Field(0.1, gt=0, description="Of ppo: the weight of the value head's loss.")

    @property
    def policy(self) -> PolicySettings:
        """How answers are drawn and learned from."""
        return PolicySettings(**{each.name: getattr(self, each.name) for each in fields(PolicySettings)})

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        own = type(self).model_fields
        if self.name in OF_REWARDS and self.reward is None:
            raise ValueError("reward is missing: name FILE.py:NAME or run:NAME")
        of_ppo = ("discount", "decay", "value_weight")
        of_rewards = ("reward", "num_answers", "max_answer_tokens", "temperature", "clip", "kl")
        for key in (*of_rewards, *of_ppo):
            fitting = OF_REWARDS if key in of_rewards else ("ppo",)
            if self.name not in fitting and getattr(self, key) != own[key].default:
                raise ValueError(f"{key} is for {' and '.join(fitting)}; leave the key out")
        if self.name not in ("dpo", "orpo") and self.beta != own["beta"].default:
            raise ValueError("beta is for dpo and orpo; leave the key out")
        if self.name != "dpo" and self.label_smoothing:
            raise ValueError("label_smoothing is for dpo; leave the key out")
        return self


class TunedConfig(FamilyConfig):
    """The `model` section of a tuned language model."""

    own_sections: ClassVar[tuple[str, ...]] = ("adapter", "objective")

    base: str = Field(
        description="The language model that others trained: a GGUF file, a folder, or a name such as "
        "smollm2-135m."
    )
    context: int | None = Field(
        None,
        ge=2,
        description="Tokens of a row at most; rows with more are refused. Default: what the base reads, and "
        "at most 2,048.",
    )
    chat_template: str | None = Field(
        None,
        description="How conversations are written, where the base knows no chat template or another one is "
        "wanted: a file with a template in Jinja, or the template itself, which the run keeps.",
    )
    adapter: AdapterConfig = Field(AdapterConfig(), description="Which numbers are trained.")
    objective: TuningObjectiveConfig = Field(TuningObjectiveConfig(), description="What is learned.")

    @model_validator(mode="after")
    def _dropout_is_drawn(self) -> Self:
        if self.objective.name in OF_REWARDS and self.adapter.dropout:
            raise ValueError(
                "adapter.dropout has no effect with grpo and ppo, which learn from the probabilities that "
                "answers were drawn with; leave it out"
            )
        return self

    @property
    def base_name(self) -> str | None:
        return self.base

    @property
    def base_template(self) -> str | None:
        return self.chat_template

    @property
    def base_context(self) -> int | None:
        return self.context

    @property
    def trains_blocks(self) -> bool:
        return self.adapter.kind != "head"

    @property
    def repeats_batches(self) -> bool:
        return self.objective.name in OF_REWARDS

    @property
    def answer_room(self) -> int:
        return self.objective.max_answer_tokens if self.objective.name in OF_REWARDS else 0
