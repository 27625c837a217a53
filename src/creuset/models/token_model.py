"""What models of plain text share: they read blocks of tokens, and may show what they attend to.

Legend of shapes: B batch, T tokens, H heads.
"""

from collections.abc import Sequence

from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.models.base import Batch, Model, num_targets
from creuset.models.requirements import require_kind, require_tokens


class TokenModel(Model):
    """A model that reads blocks of tokens.

    Args:
        family: The family's name, for errors.
        spec: The form of the data.

    Raises:
        UsageError: The data is no plain text.
    """

    reads_ahead: bool = False
    """Whether a token is told with the help of those behind it."""

    def __init__(self, family: str, spec: DataSpec) -> None:
        require_kind(spec, family, "corpus")
        super().__init__()
        self.context = spec.context
        self.vocab_size = spec.vocab_size

    def weight_of(self, batch: Batch) -> int:
        """Its targets."""
        return num_targets(batch)

    def attention(self, tokens: Tensor) -> Sequence[Tensor]:
        """The attention weights of each layer for texts, in order; none for a model without attention.

        Args:
            tokens: int64 (B, T), at most `context` of them a row.

        Returns:
            (B, H, T, T) each: head, query, key; a row over keys sums to 1.
        """
        require_tokens(tokens, self.context)
        return ()
