"""How likely a second stage finds the code maps of a split.

    code_nll   -log p(codes of a picture), in nats a code map

That is a likelihood of codes, given the codebook that a first stage learned, and no likelihood of pixels: it
has a name, a unit and a signature of its own, so that the two never stand side by side. Two second stages on
the codes of one first stage can be compared by it, and models of unlike codebooks only by what they draw.

Beside it stands what simple models of the training maps reach: all codes alike, each place by itself, and
with classes their mixture.
"""

from dataclasses import replace

import numpy as np

from creuset.data.dataset import Dataset
from creuset.evaluation.likelihoods import levels, observe_split
from creuset.evaluation.suite import Evaluation, Subject, split_hash
from creuset.metrics.floors import PixelCounts, likelihood_floors
from creuset.metrics.likelihood import LikelihoodSetting, bits_per_dim, nll
from creuset.metrics.score import Score
from creuset.metrics.signature import Context, FieldValue, short_hash
from creuset.models.base import Model
from creuset.progress import Progress

CODE_NLL = "code_nll"
BITS_PER_CODE = "bits_per_code"
_NATS = "nats_per_code_map"
_FLOORS = {
    "nll_uniform": "code_nll_uniform",
    "nll_independent_pixels": "code_nll_independent_codes",
    "nll_class_mixture": "code_nll_class_mixture",
}
"""What the floors of pixels are called where they are of codes."""


def code_likelihood_part(
    subject: Subject, dataset: Dataset, split: str, context: Context, progress: Progress
) -> Evaluation:
    """The NLL of code maps and what simple models of them reach; the likelihood is exact."""
    model, codes = subject.model, dataset.spec.codes
    assert isinstance(model, Model)
    assert codes is not None
    context = replace(context, extra={**context.extra, "codebook": short_hash(codes.checkpoint)})
    observed = observe_split(subject, model, dataset, split, context, 1, progress)
    num_codes, num_dims = dataset.spec.num_levels, int(np.prod(dataset.spec.shape))
    setting = LikelihoodSetting(num_levels=num_codes)
    found = observed.log_likelihoods
    in_bits = bits_per_dim(found, num_dims, setting=setting)
    part = dataset.split("train")
    counts = PixelCounts.from_levels(
        part.inputs.numpy(), num_codes, None if part.labels is None else part.labels.numpy()
    )
    floors = likelihood_floors(counts, levels(observed.pixels, num_codes), setting=setting)
    fit: dict[str, FieldValue] = {"fitted_to": short_hash(split_hash(dataset, "train"))}
    return Evaluation(
        suite="images",
        split=split,
        scores=[
            _of_codes(nll(found, setting=setting), CODE_NLL, _NATS, num_codes, context),
            _of_codes(in_bits, BITS_PER_CODE, BITS_PER_CODE, num_codes, context, {"dims": num_dims}),
        ],
        floors=[_of_codes(floor, _FLOORS[floor.metric], _NATS, num_codes, context, fit) for floor in floors],
        rows={CODE_NLL: -found, BITS_PER_CODE: -found / (num_dims * np.log(2))},
    )


def _of_codes(
    score: Score,
    metric: str,
    unit: str,
    num_codes: int,
    context: Context,
    fields: dict[str, FieldValue] | None = None,
) -> Score:
    """A score of levels as one of codes, under the name, unit and signature of these."""
    return context.score(
        metric=metric,
        value=score.value,
        unit=unit,
        better=score.better,
        interval=score.interval,
        n=score.n,
        fields={"likelihood": f"codes{num_codes}", **(fields or {}), "interval": "t95"},
    )
