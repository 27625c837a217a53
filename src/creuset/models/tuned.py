"""A language model that others trained, tuned on one's own conversations, texts or preferences.

    next_token   nats of the answers' tokens
    dpo          how much likelier the chosen answer became than the rejected one, seen from the base
    orpo         nats of the chosen answers, and how much likelier these are than the rejected ones
    grpo, ppo    rewards of answers that the model writes itself (training/policy.py)
    reward       nats of the chosen answer to win, by a score of each: a linear layer on the state of its end

A batch is one row of texts behind each other, attention being within each (`data/trained_rows.py`). A sample
counts by its number of learned tokens: sums are divided by the tokens that as many samples have on average,
so that the loss of a batch is the mean of those of its parts.

Of lora the reference of dpo is the base itself, the updates switched off: there is one model in memory. Else
a copy of what is trained is kept as it was.

Source: objectives/next_token.py, objectives/preference.py.

Legend of shapes: B samples, T tokens of all, N tokens that are learned.
"""

import copy
import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from creuset.adapters.lora import drawing
from creuset.adapters.switch import merged_state, switched
from creuset.data.spec import DataSpec
from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator, Precision, stored_dtype
from creuset.errors import UsageError
from creuset.models.base import Batch, Family, Model
from creuset.models.requirements import require_kind
from creuset.models.transformer import Transformer
from creuset.models.tuned_config import OF_PREFERENCES, OF_REWARDS, TunedConfig
from creuset.models.tuning import (
    answer_log_probs,
    asked_nats,
    asked_states,
    prepare,
    token_log_probs,
    trained_state,
)
from creuset.objectives.preference import bradley_terry_nats, dpo_nats, implied_rewards, orpo_nats


class Tuned(Model):
    """A decoder that others trained, with what is trained of it.

    Args:
        config: The recipe's sections.
        spec: The form of the data.
        body: The decoder with its head and its weights.
        theirs: What Hugging Face's model calls each of its layers.

    Raises:
        UsageError: Data of another kind than the objective learns from, or as `prepare`.
    """

    def __init__(
        self,
        config: TunedConfig,
        spec: DataSpec,
        body: Transformer,
        theirs: Mapping[str, str] | None = None,
    ) -> None:
        prefers = config.objective.name in OF_PREFERENCES
        require_kind(spec, config.family, "preferences" if prefers else "chats")
        if body.config.architecture != "decoder" or body.head is None:
            raise UsageError(
                "only language models are tuned so",
                where="model.base",
                got=f"{config.base}, an {body.config.architecture}",
                expected="a decoder with a head",
                next_step="tune it on texts with classes, --method classify",
            )
        super().__init__()
        self.objective, self.form = config.objective, config.adapter.form
        if self.objective.name in ("dpo", "reward"):
            self.loss_of_guessing = math.log(2)
        self.mean_targets = spec.target_tokens
        prepare(body, self.form, theirs)
        self.body = body
        self.score: nn.Linear | None = None
        if config.objective.name == "reward":
            self.score = nn.Linear(body.config.embed_dim, 1, bias=False)
            nn.init.zeros_(self.score.weight)
        self.value: nn.Linear | None = None
        if config.objective.name == "ppo":
            self.value = nn.Linear(body.config.embed_dim, 1)
            nn.init.zeros_(self.value.weight)
            nn.init.zeros_(self.value.bias)
        self._reference: list[Transformer] = []  # in a list, so that it is no part of the model
        if self.objective.name in ("dpo", *OF_REWARDS) and self.form.weights != "lora":
            self._reference.append(copy.deepcopy(body).requires_grad_(False).eval())

    def player_parameters(self, player: str) -> Iterator[tuple[str, nn.Parameter]]:
        assert player in self.players
        return ((name, value) for name, value in self.named_parameters() if value.requires_grad)

    def stored_state(self) -> dict[str, Tensor]:
        """What is trained: the base is named beside it."""
        return {name: value.detach() for name, value in trained_state(self).items()}

    def settle(self, device: torch.device, precision: Precision) -> None:
        """As of every model; in bfloat16, what is frozen beside updates is stored in it as well.

        Whole layers that are trained stay in float32, and so does what their states come from: outside of
        autocast a layer takes states of its own format alone.
        """
        dtype = stored_dtype(precision)
        self.to(device, dtype)
        if precision == "bfloat16" and self.form.weights == "lora":
            for parameter in self.parameters():
                if not parameter.requires_grad:
                    parameter.data = parameter.data.to(torch.bfloat16)
        for reference in self._reference:
            reference.to(device, dtype)  # as the model: what neither has learned is to differ by nothing

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        assert player in self.players
        return self._means(batch, generator.packed())

    def undisturbed_loss(self, batch: Batch) -> Tensor:
        """The training loss without dropout, ()."""
        return self._means(batch, None)["loss"]

    def validation_loss(self, batch: Batch, generator: BatchGenerator) -> dict[str, Tensor]:
        """The same without dropout; nats are divided by the very number of tokens."""
        del generator
        if self.objective.name not in OF_PREFERENCES:
            nats, number = asked_nats(self.body, batch)
            return {"loss": nats / number}
        told = self._compared(batch, None)
        if self.objective.name == "orpo" and self._keeps_base:
            told["kl_nats"] = self._moved(batch, told["chosen_log_prob"])
        return {name: values.mean() for name, values in told.items()}

    def weight_of(self, batch: Batch) -> int:
        """The tokens that are learned; of preferences the pairs."""
        if self.objective.name not in OF_PREFERENCES:
            return int((batch["targets"] != IGNORED).sum())
        return num_texts(batch) // 2

    @torch.no_grad()
    def text_nats(self, batch: Batch) -> Tensor:
        """-log p of what is learned of each text of a batch, in nats, float32, as many as texts."""
        return -answer_log_probs(self.body, batch, num_texts(batch), None).float()

    @torch.no_grad()
    def rewards(self, batch: Batch) -> Tensor:
        """The score of each answer of a batch, float32, as many as texts; of a reward model."""
        return self._scores(batch, None).float()

    def answer_values(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Of each token that is learned: its log-probability at the temperature of the answers, and what the
        value head expects there.

        Args:
            batch: As given to `loss`.

        Returns:
            (N,) each; no values of a model without a value head.
        """
        states = asked_states(self.body, batch)
        targets = batch["targets"][batch["targets"] != IGNORED]
        log_probs = self._at_temperature(self.body, states, targets)
        if self.value is None:
            return log_probs, None
        return log_probs, self.value(states.to(self.value.weight.dtype))[:, 0]

    @torch.no_grad()
    def reference_token_log_probs(self, batch: Batch) -> Tensor:
        """The base's log-probability of each token that is learned, (N,), at the same temperature."""
        targets = batch["targets"][batch["targets"] != IGNORED]
        if self._reference:
            body = self._reference[0]
            return self._at_temperature(body, asked_states(body, batch), targets)
        with switched(self.body, ()):
            return self._at_temperature(self.body, asked_states(self.body, batch), targets)

    def _at_temperature(self, body: Transformer, states: Tensor, targets: Tensor) -> Tensor:
        """As `token_log_probs`, of answers that are drawn at the recipe's temperature."""
        return token_log_probs(body, states, targets, temperature=self.objective.temperature)

    def plain_state(self) -> dict[str, Tensor]:
        """The tensors of a Transformer that computes what this one does, without adapters."""
        return merged_state(self.body)

    def _means(self, batch: Batch, generator: BatchGenerator | None) -> dict[str, Tensor]:
        if self.objective.name not in OF_PREFERENCES:  # of those that learn from rewards, what the gate asks
            nats, _ = asked_nats(self.body, batch, generator)
            return {"loss": nats / (num_texts(batch) * self.mean_targets)}
        return {name: values.mean() for name, values in self._compared(batch, generator).items()}

    def _compared(self, batch: Batch, generator: BatchGenerator | None) -> dict[str, Tensor]:
        """The loss of each pair, (B,), and what is worth knowing of it.

        kl_nats: log p - log q of the chosen answer, all of its tokens together, in nats, with q the base. Its
        mean says how far the chosen answers went from the base: 0 at first, below 0 where they became less
        likely. It is KL(p || q) only if the model had written these answers itself, which it has not. Orpo
        needs no base, and tells it in validations alone, of lora.
        chosen_tokens, rejected_tokens: how many tokens are learned of each answer.
        """
        if self.score is not None:
            good, bad = self._scores(batch, generator).chunk(2)
            ahead = (good - bad).detach()
            return {
                "loss": bradley_terry_nats(good, bad),
                "margin": ahead,
                "preference_accuracy": (ahead > 0).to(good.dtype),
            }
        number = num_texts(batch)
        found = answer_log_probs(self.body, batch, number, generator)
        chosen, rejected = found.chunk(2)
        counts = _num_learned(batch, number).to(found.dtype)
        lengths = dict(zip(("chosen_tokens", "rejected_tokens"), counts.chunk(2), strict=True))
        if self.objective.name == "dpo":
            before = self._reference_log_probs(batch, number)
            rewards = implied_rewards(found, before, beta=self.objective.beta)
            good, bad = rewards.chunk(2)
            loss = dpo_nats(good, bad, label_smoothing=self.objective.label_smoothing)
            told = {"chosen_reward": good, "rejected_reward": bad, "kl_nats": chosen - before.chunk(2)[0]}
        else:
            good, bad = (found / counts).chunk(2)
            nats = -chosen / self.mean_targets
            loss = nats + self.objective.beta * orpo_nats(good, bad)
            told = {"chosen_nats": nats.detach()}
        ahead = (good - bad).detach()
        told |= {"margin": ahead, "preference_accuracy": (ahead > 0).to(loss.dtype)}
        told |= {"chosen_log_prob": chosen, "rejected_log_prob": rejected} | lengths
        return {"loss": loss, **{name: value.detach() for name, value in told.items()}}

    @property
    def _keeps_base(self) -> bool:
        """Whether the base's own probabilities can be had."""
        return bool(self._reference) or self.form.weights == "lora"

    def _moved(self, batch: Batch, chosen: Tensor) -> Tensor:
        """By how many nats each chosen answer became likelier than the base finds it, (B,)."""
        return chosen - self._reference_log_probs(batch, num_texts(batch)).chunk(2)[0]

    def _scores(self, batch: Batch, generator: BatchGenerator | None) -> Tensor:
        """The score of each text, by the state of the last token that is learned of it."""
        assert self.score is not None
        with drawing(self.body, generator):
            states = self.body.hidden(batch["tokens"], documents=batch["documents"], generator=generator)[0]
        places = (batch["targets"][0] != IGNORED).nonzero()[:, 0] + 1
        texts = batch["documents"][0][places]
        last = places.new_zeros(num_texts(batch)).scatter_reduce(0, texts, places, "amax")
        scores: Tensor = self.score(states[last].to(self.score.weight.dtype))[:, 0]
        return scores

    def _reference_log_probs(self, batch: Batch, number: int) -> Tensor:
        """Of the base, (B,), without a gradient, yet computed as the model is where gradients are made.

        Other kernels round otherwise: in bfloat16 by half a nat of an answer, which would be learned from.
        """
        if self._reference:
            return answer_log_probs(self._reference[0], batch, number, None).detach()
        with switched(self.body, ()):
            return answer_log_probs(self.body, batch, number, None).detach()


def num_texts(batch: Batch) -> int:
    """The texts of a packed batch."""
    return int(batch["documents"][0, -1]) + 1


def _num_learned(batch: Batch, number: int) -> Tensor:
    """How many tokens are learned of each text, (B,)."""
    asked = batch["targets"] != IGNORED
    return torch.bincount(batch["documents"][asked], minlength=number)


def _from_scratch(config: TunedConfig, spec: DataSpec) -> Tuned:
    raise AssertionError(f"a tuned model has a base, {config.base}; got data of kind {spec.kind} alone")


FAMILY = Family(
    name="tuned",
    config=TunedConfig,
    build=_from_scratch,
    traits=frozenset({"gradient", "answers_chats"}),
    tune=Tuned,
)
