"""The last part of a Transformer: states to a score for each token of the vocabulary.

Source: weights shared with the token embedding: Press & Wolf 2017, "Using the Output Embedding to Improve
Language Models"; the head for masked tokens: Devlin et al. 2019, "BERT", as released; soft caps: Gemma Team
2024, "Gemma 2", section 2.

Legend of shapes: ... any leading axes, E features, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from creuset.layers.gated_feedforward import activate
from creuset.models.transformer_config import TransformerConfig


class Head(nn.Module):
    """States to scores of tokens.

    Args:
        config: The model's form; its head is not "none".
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        dim = config.embed_dim
        transformed = config.head == "transformed"
        self.activation = config.activation
        self.scale = config.head_scale
        self.softcap = config.logit_softcap
        self.transform = nn.Linear(dim, dim) if transformed else None
        self.norm = config.norm_config.build(dim) if transformed else None
        self.weight = None if config.tied_head else nn.Parameter(torch.empty(config.vocab_size, dim))
        self.bias = nn.Parameter(torch.empty(config.vocab_size)) if config.head_bias else None

    def forward(self, states: Tensor, embedding: Tensor) -> Tensor:
        """(..., E) -> (..., V), with the token embedding's weights (V, E) where the head has none."""
        if self.transform is not None and self.norm is not None:
            states = self.norm(activate(self.transform(states), self.activation))
        if self.scale != 1:
            states = states * self.scale
        logits = functional.linear(states, embedding if self.weight is None else self.weight, self.bias)
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)
