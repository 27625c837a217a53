"""Token ids that a user hands over, checked.

Legend of shapes: B texts, T tokens.
"""

from typing import Any

import numpy as np
import torch

from creuset.errors import UsageError


def text_ids(token_ids: Any, vocab_size: int) -> torch.Tensor:
    """Ids of texts as a tensor, int64 (B, T).

    Raises:
        UsageError: They are no such ids.
    """
    ids = torch.as_tensor(np.asarray(token_ids))
    if ids.ndim != 2 or not ids.numel() or ids.is_floating_point():
        raise UsageError(
            "no token ids", got=f"shape {tuple(ids.shape)}", expected="whole numbers, (batch, tokens)"
        )
    if int(ids.min()) < 0 or int(ids.max()) >= vocab_size:
        raise UsageError("no such token", got=int(ids.max()), expected=f"ids from 0 to {vocab_size - 1}")
    return ids.long()
