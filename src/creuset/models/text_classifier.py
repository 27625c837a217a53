"""Heads on a Transformer: one class for a text, or one for each of its tokens.

    body -> states -> pooled (a class for a text) -> dropout -> one linear layer -> logits

Source: Devlin et al. 2019, "BERT", section 4.1 (the first token's state, for a text) and 5.3 (tokens, and a
body that stays as it is); the last token's state, of a decoder: Radford et al. 2018, "Improving Language
Understanding by Generative Pre-Training", section 3.2.
Departure: padding may stand on either side; "cls" and "pooler" read the first token that is none.

Legend of shapes: B texts, T tokens, E features, K classes, ... the texts (B) or the tokens (B, T).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, Self, TypedDict, Unpack

import torch
from torch import Tensor, nn

from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator
from creuset.errors import CheckpointError, UsageError
from creuset.layers.dropout import Dropout
from creuset.models.embedder import pool
from creuset.models.transformer import Transformer
from creuset.objectives.cross_entropy import classification_loss

ClassifierPooling = Literal["cls", "mean", "last", "pooler"]


class HeadOptions(TypedDict, total=False):
    """How a head is made beside its number of classes, as `TextClassifier` explains it."""

    dropout: float
    bias: bool
    freeze_body: bool


class TextInputs(TypedDict, total=False):
    """What is known of texts beside their tokens.

    Args:
        padding: bool (B, T), True where a token is; None for tokens everywhere.
        segments: int64 (B, T), the kind of segment of each token; None for kind 0 everywhere.
        generator: Draws all dropout, one row a text; nothing is dropped without.
    """

    padding: Tensor | None
    segments: Tensor | None
    generator: BatchGenerator | None


class TextClassifier(nn.Module, ABC):
    """A Transformer and a linear layer that makes scores of classes from its states.

    The layer is float32 at least, whatever the format of the body. Parts of the body that the scores do not
    depend on, such as its scores of tokens, are set not to learn.

    Args:
        body: An encoder or a decoder.
        num_classes: K, at least 2.
        dropout: Probability of a zero before the layer, in [0, 1).
        bias: Whether the layer has a bias.
        freeze_body: Whether the layer learns alone: the body's parameters are set not to learn, it stays in
            evaluation mode, drops nothing, and keeps nothing for gradients.

    Raises:
        UsageError: The body is an encoder-decoder, or a number is out of its range.
    """

    def __init__(
        self,
        body: Transformer,
        num_classes: int,
        *,
        dropout: float = 0.0,
        bias: bool = True,
        freeze_body: bool = False,
    ) -> None:
        super().__init__()
        if body.config.architecture == "encoder_decoder":
            raise _impossible(
                "an encoder-decoder has two kinds of states", "encoder_decoder", "an encoder or a decoder"
            )
        if num_classes < 2:
            raise _impossible("too few classes to tell apart", num_classes, "num_classes of at least 2")
        if not 0 <= dropout < 1:
            raise _impossible("dropout is a probability", dropout, "dropout in [0, 1)")
        weight = body.token_embedding.weight
        self.body = body
        self.num_classes = num_classes
        self.freeze_body = freeze_body
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(
            body.config.embed_dim,
            num_classes,
            bias=bias,
            dtype=torch.promote_types(weight.dtype, torch.float32),
            device=weight.device,
        )
        nn.init.normal_(self.output.weight, std=body.config.init_std)
        if bias:
            nn.init.zeros_(self.output.bias)
        if freeze_body:
            body.requires_grad_(False).eval()
        self._set_aside(body.head)

    def forward(self, token_ids: Tensor, **inputs: Unpack[TextInputs]) -> Tensor:
        """One score a class.

        Args:
            token_ids: int64 (B, T).
            inputs: As `TextInputs` has them.

        Returns:
            (..., K), float32 at least; those at padding mean nothing.

        Raises:
            UsageError: A text is longer than the context, or has no token.
        """
        padding, generator = inputs.get("padding"), inputs.get("generator")
        if padding is not None and not bool(padding.any(1).all()):
            raise UsageError(
                "a text without tokens has no class",
                where=type(self).__name__,
                expected="at least one token a text",
            )
        if self.freeze_body:
            with torch.no_grad():
                features = self._features(token_ids, {**inputs, "generator": None})
        else:
            features = self._features(token_ids, inputs)
        features = features.to(self.output.weight.dtype)
        logits: Tensor = self.output(self.dropout(features, generator))
        return logits

    def loss(
        self,
        token_ids: Tensor,
        labels: Tensor,
        *,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        **inputs: Unpack[TextInputs],
    ) -> dict[str, Tensor]:
        """The mean cross entropy of what has a label as "loss", in nats, with "accuracy", a fraction.

        Args:
            token_ids: int64 (B, T).
            labels: int64 (...), in [0, K), or IGNORED where none is to be predicted.
            class_weights: As for `cross_entropy`.
            label_smoothing: As for `cross_entropy`.
            inputs: As `TextInputs` has them; a label at padding is ignored too.

        Raises:
            UsageError: What `forward` refuses, or labels that do not fit, or none at all.
        """
        self._check_labels(token_ids, labels)
        padding = inputs.get("padding")
        if padding is not None and labels.ndim == 2:
            labels = labels.masked_fill(~padding, IGNORED)
        counted = labels != IGNORED
        if not bool(counted.any()):
            raise self._unfit("there is nothing to learn from", "no label", "at least one label a batch")
        logits = self(token_ids, **inputs)
        return classification_loss(
            logits[counted], labels[counted], class_weights=class_weights, label_smoothing=label_smoothing
        )

    def head_state(self) -> dict[str, Tensor]:
        """Copies of the linear layer's tensors alone, named as in `state_dict`: (K, E), and (K) of a bias."""
        return {f"output.{name}": tensor.clone() for name, tensor in self.output.state_dict().items()}

    def load_head_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `head_state` gave; nothing is changed where it does not fit.

        Raises:
            CheckpointError: Tensors are missing, too many, of another shape, or no fractions.
        """
        own = {f"output.{name}": parameter for name, parameter in self.output.named_parameters()}
        fits = state.keys() == own.keys() and all(
            tensor.shape == own[name].shape and tensor.is_floating_point() for name, tensor in state.items()
        )
        if not fits:
            raise CheckpointError(
                "these tensors are not those of this head",
                where=type(self).__name__,
                got=_listed(state),
                expected=_listed(own),
                next_step="build the head with as many classes and the body that it was saved with",
            )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(state[name])

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode; a frozen body stays in evaluation mode."""
        super().train(mode)
        if self.freeze_body:
            self.body.eval()
        return self

    @abstractmethod
    def _features(self, token_ids: Tensor, inputs: TextInputs) -> Tensor:
        """What the layer reads, (..., E); arguments as for `forward`."""

    @abstractmethod
    def _label_shape(self, token_ids: Tensor) -> tuple[int, ...]:
        """The shape (...) of the labels of these tokens."""

    def _set_aside(self, part: nn.Module | None) -> None:
        """Keep a part of the body, if it is there, that the scores do not depend on from learning."""
        if part is not None:
            part.requires_grad_(False)

    def _check_labels(self, token_ids: Tensor, labels: Tensor) -> None:
        shape = self._label_shape(token_ids)
        if labels.shape != shape:
            raise self._unfit("labels of another shape than the texts", tuple(labels.shape), shape)
        wrong = (labels != IGNORED) & ((labels < 0) | (labels >= self.num_classes))
        if bool(wrong.any()):
            expected = f"0 to {self.num_classes - 1}, or {IGNORED} where none is to be predicted"
            raise self._unfit("a label of no class", int(labels[wrong][0]), expected)

    def _unfit(self, message: str, got: object, expected: object) -> UsageError:
        return UsageError(message, where=f"{type(self).__name__}: labels", got=got, expected=expected)


class SequenceClassifier(TextClassifier):
    """One class for each text: its states become one vector first.

    Args:
        body: An encoder or a decoder.
        num_classes: K, at least 2.
        pooling: Which vector: "cls", the first token's state; "mean" of all tokens; "last", the last token's;
            "pooler", the body's own dense layer with tanh on the first token's, which learns with the body.
        options: As for `TextClassifier`; the dropout is that of the vector.

    Raises:
        UsageError: The body has no pooler, or is a decoder whose first token reads nothing of the text.
    """

    def __init__(
        self,
        body: Transformer,
        num_classes: int,
        *,
        pooling: ClassifierPooling,
        **options: Unpack[HeadOptions],
    ) -> None:
        if pooling == "pooler" and body.pooler is None:
            raise _impossible("this body has no pooler", "pooler", "pooling cls, mean or last")
        if pooling == "cls" and body.config.architecture == "decoder":
            raise _impossible(
                "the first token of a decoder reads nothing of the text", "cls", "pooling last or mean"
            )
        super().__init__(body, num_classes, **options)
        self.pooling: ClassifierPooling = pooling
        if pooling != "pooler":
            self._set_aside(body.pooler)

    def _features(self, token_ids: Tensor, inputs: TextInputs) -> Tensor:
        states, padding = self.body.hidden(token_ids, **inputs), inputs.get("padding")
        if self.pooling != "pooler":
            return pool(states, self.pooling, padding)  # (B, E)
        first = pool(states, "cls", padding).to(states.dtype)
        return self.body.pool(first[:, None])

    def _label_shape(self, token_ids: Tensor) -> tuple[int, ...]:
        return (len(token_ids),)


class TokenClassifier(TextClassifier):
    """One class for each token: of an encoder from all of the text, of a decoder from what stands before.

    The arguments are those of `TextClassifier`.
    """

    def __init__(self, body: Transformer, num_classes: int, **options: Unpack[HeadOptions]) -> None:
        super().__init__(body, num_classes, **options)
        self._set_aside(body.pooler)

    def _features(self, token_ids: Tensor, inputs: TextInputs) -> Tensor:
        return self.body.hidden(token_ids, **inputs)

    def _label_shape(self, token_ids: Tensor) -> tuple[int, ...]:
        return tuple(token_ids.shape)


def _impossible(message: str, got: object, expected: str) -> UsageError:
    return UsageError(message, where="a head for classes", got=got, expected=expected)


def _listed(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(tensors[name].shape)}" for name in sorted(tensors)) or "none"
