"""The suite `masked`: how well a model tells hidden tokens of a split from what stands around them.

Of each block a share of the tokens, the same for all models, is hidden behind the mask token; which ones
follows from the seed and the block's number, so that models of one tokenizer and context are asked the same.
Beside the scores stands what the frequencies of the training tokens reach without reading anything.
Those of a block are told by the same text, so their errors hang together: a row is a block, with what its
hidden tokens sum up to and their number (shares.py), and n counts the blocks that have any.

Legend of shapes: B blocks, T tokens, V vocabulary, N hidden tokens, M blocks with hidden tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.token_stream import IGNORED, block_batch, block_padding
from creuset.device import BatchGenerator
from creuset.errors import DataError
from creuset.evaluation.shares import ratio_score, rows_of_ratio
from creuset.evaluation.suite import Evaluation, Subject, split_hash
from creuset.metrics.inputs import FloatArray
from creuset.metrics.score import Score
from creuset.metrics.signature import Context, FieldValue, short_hash
from creuset.models.masked_language_model import MaskedLanguageModel
from creuset.models.requirements import require_finite
from creuset.objectives.masked_tokens import MASK_SHARE
from creuset.progress import Progress

NATS, FIRST, TOP = "nats_per_masked_token", "accuracy", "accuracy_top5"
FLOOR = "unigram"
"""How the names of floors end."""
_TOP = 5
_SCORES_AT_ONCE = 2**23
"""Numbers that the scores of some blocks may have: 32 MB."""
_SMOOTHING = 1.0
"""Added to the count of each token, so that one which training never met has a probability."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """How hidden tokens were told.

    Args:
        nats: -log p of each, float64 (N,).
        ranks: How many tokens were held likelier than it, or as likely and have a lower id, int64 (N,).
        sizes: How many of them each block has, in their order, from 1, int64 (M,).
    """

    nats: FloatArray
    ranks: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def sums(self) -> dict[str, FloatArray]:
        """What the hidden tokens of each block sum up to, for each metric, (M,)."""
        values = {NATS: self.nats, FIRST: self.ranks < 1, TOP: self.ranks < _TOP}
        starts = np.cumsum(self.sizes) - self.sizes
        return {name: np.add.reduceat(column.astype(np.float64), starts) for name, column in values.items()}


def masked_suite(
    subject: Subject, dataset: Dataset, split: str, context: Context, progress: Progress
) -> Evaluation:
    """Nats per masked token, and how often the true token is the first guess or among the first five.

    Raises:
        DataError: No token of the split can be hidden.
        NumericalError: The model's scores are not finite.
    """
    model, tokenizer = subject.model, dataset.tokenizer
    assert isinstance(model, MaskedLanguageModel)
    assert tokenizer is not None
    told, targets = _told(model, dataset, split, context.seed, subject.device, progress)
    floor = _told_by_frequency(model, dataset, targets, told.sizes)
    fields: dict[str, FieldValue] = {
        "context_length": model.context,
        "masked": MASK_SHARE,
        "masks_seed": context.seed,
        "tokenizer": tokenizer.fingerprint[:16],
    }
    trained_on: dict[str, FieldValue] = {
        "smoothing": _SMOOTHING,
        "training_data": short_hash(split_hash(dataset, "train")),
    }
    return Evaluation(
        suite="masked",
        split=split,
        scores=_scores(told, fields, context),
        floors=_scores(floor, {**fields, **trained_on}, context, ending=f"_{FLOOR}"),
        details={"num_blocks": dataset.split(split).num_samples, "num_hidden": len(told.nats)},
        rows={name: rows_of_ratio(sums, told.sizes) for name, sums in told.sums().items()},
    )


def _scores(told: Told, fields: dict[str, FieldValue], context: Context, ending: str = "") -> list[Score]:
    return [
        ratio_score(
            f"{name}{ending}",
            sums,
            told.sizes,
            unit="nats" if name == NATS else "fraction",
            better="lower" if name == NATS else "higher",
            clusters="blocks",
            fields=fields,
            context=context,
        )
        for name, sums in told.sums().items()
    ]


def _told(
    model: MaskedLanguageModel,
    dataset: Dataset,
    split: str,
    seed: int,
    device: torch.device,
    progress: Progress,
) -> tuple[Told, Tensor]:
    """How the model tells the hidden tokens of a split, and which they are, int64 (N,)."""
    num_blocks = dataset.split(split).num_samples
    progress.start("masked tokens", num_blocks, "blocks")
    nats, ranks, targets, sizes = [], [], [], []
    done = 0
    for tokens, wanted, padding in _hidden_blocks(model, dataset, split, seed, device):
        places = wanted != IGNORED
        scores = require_finite(model.fill(tokens, places, padding=padding), "the scores of tokens").double()
        nats.append((scores.logsumexp(1) - scores.gather(1, wanted[places][:, None])[:, 0]).cpu())
        ranks.append(_ranks(scores, wanted[places]).cpu())
        targets.append(wanted[places].cpu())
        sizes.append(places.sum(1).cpu())
        done += len(tokens)
        progress.advance(done)
    progress.finish()
    of_blocks = torch.cat(sizes)
    of_blocks = of_blocks[of_blocks > 0]
    if not len(of_blocks):
        raise DataError("no token of this split can be hidden: all are special ones", where=split)
    found = Told(nats=torch.cat(nats).numpy(), ranks=torch.cat(ranks).numpy(), sizes=of_blocks.numpy())
    return found, torch.cat(targets)


def _ranks(scores: Tensor, true: Tensor) -> Tensor:
    """How many tokens stand before the true ones (N,) by falling scores (N, V), equal ones by id: (N,).

    So a model that holds all tokens for equally likely tells the one of id 0 alone.
    """
    own = scores.gather(1, true[:, None])
    earlier = torch.arange(scores.shape[1], device=scores.device) < true[:, None]
    return ((scores > own) | ((scores == own) & earlier)).sum(1)


def _hidden_blocks(
    model: MaskedLanguageModel, dataset: Dataset, split: str, seed: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The blocks of a split with masks: tokens and targets, int64 (B, T), and padding, bool (B, T)."""
    places_a_block = max(1, round(MASK_SHARE * model.context))
    size = max(1, _SCORES_AT_ONCE // (model.vocab_size * places_a_block))
    numbers = torch.arange(dataset.split(split).num_samples)
    for chunk in torch.split(numbers, size):
        batch = block_batch(dataset.split(split).inputs[chunk])
        padding = block_padding(batch["targets"]).to(device)
        hidden = [
            model.hide(
                tokens[None],
                there[None],
                MASK_SHARE,
                BatchGenerator(seed, "evaluation", "masks", number, size=1, device=device),
            )
            for number, tokens, there in zip(chunk.tolist(), batch["tokens"].to(device), padding, strict=True)
        ]
        yield (
            torch.cat([one.tokens for one in hidden]),
            torch.cat([one.targets for one in hidden]),
            padding,
        )


def _told_by_frequency(
    model: MaskedLanguageModel, dataset: Dataset, targets: Tensor, sizes: NDArray[np.int64]
) -> Told:
    """How the frequencies of the training tokens tell these tokens, int64 (N,), whatever stands around."""
    stream = dataset.split("train").stream
    assert stream is not None
    ordinary = model.is_ordinary.cpu()
    counts = torch.bincount(stream.ids.long(), minlength=model.vocab_size).double()
    counts = torch.where(ordinary, counts + _SMOOTHING, 0.0)
    log_probs = (counts / counts.sum()).log()
    order = torch.sort(counts, descending=True, stable=True).indices
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order))
    return Told(nats=-log_probs[targets].numpy(), ranks=ranks[targets].numpy(), sizes=sizes)
