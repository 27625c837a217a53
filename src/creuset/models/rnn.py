"""A recurrent network that classifies pictures row by row from the top, or texts token by token.

A picture is a sequence of rows, a step holding the values of all channels; the setting is that of Le et al.
2015, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", with rows for pixels and with
gated cells. A text is a sequence of tokens, a step holding a learned vector. A linear layer reads the state
after the last row, or after a text's own last token: the padding behind it is never read.

Legend of shapes: B batch, C channels, H height, W width, T steps, F features of a step.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from creuset.data.spec import DataSpec, Kind
from creuset.data.vocabulary import PADDING, text_lengths
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.layers.dropout import Dropout
from creuset.layers.recurrent import Recurrent
from creuset.models.base import Family
from creuset.models.classifier import Classifier, ClassifierConfig
from creuset.models.requirements import require_kind, require_pictures, require_shape


class RNNConfig(ClassifierConfig):
    """The `model` section of a recurrent classifier."""

    sizes: ClassVar[dict[str, dict[str, object]]] = {
        "tiny": {"embedding_dim": 32, "hidden_dim": 32, "num_layers": 1},
        "small": {"embedding_dim": 128, "hidden_dim": 128, "num_layers": 1},
        "base": {"embedding_dim": 256, "hidden_dim": 256, "num_layers": 2},
    }
    only_for: ClassVar[dict[str, Kind]] = {"embedding_dim": "texts"}

    cell: Literal["gru", "lstm"] = Field("gru", description="The gated cell.")
    embedding_dim: int = Field(128, ge=1, description="Numbers that a token of a text is turned into.")
    hidden_dim: int = Field(128, ge=1, description="Units of the state of each layer.")
    num_layers: int = Field(1, ge=1, description="Recurrent layers one on another.")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="Probability of a zero between layers and before the last one."
    )


class PictureRows(nn.Module):
    """Pictures as sequences of their rows.

    Args:
        image_shape: (C, H, W).
    """

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.step_dim = image_shape[0] * image_shape[2]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> the steps (B, H, C W) and the place of each picture's last step, int64 (B,)."""
        rows = require_shape(images, self.image_shape).transpose(1, 2).flatten(2)  # (B, H, C W)
        return rows, torch.full((len(rows),), rows.shape[1] - 1, device=rows.device)


class EmbeddedTokens(nn.Module):
    """Texts as sequences of learned vectors, one for each token of the vocabulary; padding is zeros.

    Args:
        vocab_size: Ids there are, padding among them.
        embedding_dim: F.
    """

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.step_dim = embedding_dim
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=PADDING)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """int64 (B, T) -> the steps (B, T, F) and the place of each text's last token, int64 (B,)."""
        if tokens.ndim != 2 or tokens.is_floating_point():
            raise UsageError(
                "samples of another shape than the model was built for",
                got=tuple(tokens.shape),
                expected="(batch, tokens), whole numbers",
            )
        return self.embedding(tokens), text_lengths(tokens) - 1


class RNN(Classifier):
    """Pictures or texts to scores of classes, one row or token after another.

    Args:
        config: The recipe's section.
        spec: The form of the data.

    Raises:
        UsageError: The data are neither pictures nor texts, or without classes.
    """

    def __init__(self, config: RNNConfig, spec: DataSpec) -> None:
        require_kind(spec, config.family, "images", "texts")
        super().__init__(
            config.family,
            spec,
            class_weights=config.class_weights,
            label_smoothing=config.label_smoothing,
        )
        self.steps: PictureRows | EmbeddedTokens
        if spec.kind == "texts":
            self.steps = EmbeddedTokens(spec.vocab_size, config.embedding_dim)
        else:
            self.steps = PictureRows(require_pictures(spec, config.family))
        self.recurrent = Recurrent(
            config.cell, self.steps.step_dim, config.hidden_dim, config.num_layers, config.dropout
        )
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(config.hidden_dim, self.num_classes)

    def _features(self, batch_inputs: Tensor, generator: BatchGenerator | None) -> Tensor:
        steps, last = self.steps(batch_inputs)  # (B, T, F), (B,)
        states: Tensor = self.recurrent(steps, generator)  # (B, T, hidden_dim)
        return states[torch.arange(len(states), device=states.device), last]  # (B, hidden_dim)


FAMILY = Family(name="rnn", config=RNNConfig, build=RNN, traits=frozenset({"gradient", "classifies"}))
