"""Words with vectors that are known: a family of points whose differences mean something."""

import numpy as np
import torch
from torch import Tensor

from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer
from creuset.models.base import Batch, Model

PLANTED: dict[str, tuple[float, ...]] = {
    "man": (1, 0, 0, 0.1),
    "woman": (1, 1, 0, 0.1),
    "king": (1, 0, 1, 0),
    "queen": (1, 1, 1, 0),
    "boy": (0.5, 0, 0, 0.4),
    "girl": (0.5, 1, 0, 0.4),
    "apple": (-1, 0, 0.2, 0),
    "pear": (-1, 0.1, 0.2, 0),
}
TEXT = " ".join(word for number, word in enumerate(PLANTED) for _ in range(20 - number))


class Planted(Model):
    """A table of vectors that is what it was given."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        table = torch.zeros(tokenizer.vocab_size, 4)
        for word, vector in PLANTED.items():
            number = tokenizer.id_of(word)
            assert number is not None
            table[number] = 3 * torch.tensor(vector)  # lengths are not to matter
        self.table = torch.nn.Parameter(table)

    def loss(self, batch: Batch, player: str, generator: object) -> dict[str, Tensor]:
        return {"loss": self.table.sum()}

    def embeddings(self) -> Tensor:
        return self.table.detach()


def planted() -> tuple[Planted, Tokenizer, list[int]]:
    """The model, its tokenizer, and how often each of its ids stands in the text."""
    tokenizer = train_tokenizer([TEXT], "words")
    counts = np.bincount(tokenizer.encode(TEXT), minlength=tokenizer.vocab_size)
    return Planted(tokenizer), tokenizer, counts.tolist()
