"""The suite `masked`: its numbers by their formulas, its floor by counting, and masks that the seed fixes."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.data.token_stream import IGNORED
from creuset.device import BatchGenerator
from creuset.errors import NumericalError
from creuset.evaluation import Evaluation, Subject, evaluate
from creuset.models import family
from creuset.models.encoder import Encoder, EncoderConfig
from creuset.progress import Silent
from creuset.recipe.sections import DataConfig

CPU = torch.device("cpu")
METRICS = ("nats_per_masked_token", "accuracy", "accuracy_top5")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("texts")
    for number in range(12):
        (folder / f"{number:02}.txt").write_text(f"text {number} of twelve, {'so ' * number}\n" * 4)
    config = DataConfig(source=str(folder), context=16, validation_share=0.2, test_share=0.2)
    return load_data(config, seed=0, resolve=Path, needs_mask=True)


@pytest.fixture(scope="module")
def encoder(dataset: Dataset) -> Encoder:
    torch.manual_seed(0)
    model = Encoder(EncoderConfig(family="encoder", size="tiny", mask_share=0.4), dataset.spec)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


def measured(encoder: Encoder, dataset: Dataset, seed: int = 0) -> Evaluation:
    return evaluate(
        Subject(family=family("encoder"), model=encoder, device=CPU),
        dataset,
        "test",
        suite="masked",
        num_importance_samples=1,
        seed=seed,
        progress=Silent(),
    )


def hidden_blocks(encoder: Encoder, dataset: Dataset, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Each block by itself, without its padding: tokens with masks, and targets."""
    found = []
    for number, row in enumerate(dataset.split("test").inputs.long()):
        tokens = row[:-1]
        padded = tokens.clamp_min(0)[None]
        draws = BatchGenerator(seed, "evaluation", "masks", number, size=1)
        hidden = encoder.hide(padded, (tokens != IGNORED)[None], 0.15, draws)
        length = int((tokens != IGNORED).sum())
        found.append((hidden.tokens[0, :length], hidden.targets[0, :length]))
    return found


def test_scores_are_those_of_each_block_by_itself(encoder: Encoder, dataset: Dataset) -> None:
    nats, ranks, block = [], [], []
    for number, (tokens, targets) in enumerate(hidden_blocks(encoder, dataset)):
        log_probs = encoder.transformer(tokens[None])[0].detach().log_softmax(-1)
        for place in (targets != IGNORED).nonzero()[:, 0].tolist():
            assert tokens[place] == encoder.mask_token
            true = int(targets[place])
            block.append(number)
            nats.append(-float(log_probs[place, true]))
            ranks.append(sum(float(value) > float(log_probs[place, true]) for value in log_probs[place]))
    found = measured(encoder, dataset)
    assert tuple(score.metric for score in found.scores) == METRICS
    mean, first, top = found.scores
    assert mean.n == first.n == top.n == len(set(block)) < len(nats)
    assert found.details["num_hidden"] == len(nats)
    assert mean.value == pytest.approx(np.mean(nats), rel=1e-5)
    assert first.value == sum(rank == 0 for rank in ranks) / len(ranks)
    assert top.value == sum(rank < 5 for rank in ranks) / len(ranks)
    columns = {"nats_per_masked_token": nats, "accuracy": [float(rank == 0) for rank in ranks]}
    for name, values in columns.items():
        sums = np.bincount(block, weights=values)
        np.testing.assert_allclose(found.rows[name] * len(nats) / len(sums), sums, rtol=1e-4)
        assert found.rows[name].mean() == pytest.approx(np.mean(values), rel=1e-5)


def test_intervals_are_over_blocks(encoder: Encoder, dataset: Dataset) -> None:
    """By hand: whole blocks are drawn again, and each resample's sum is divided by its own number."""
    found = measured(encoder, dataset)
    sizes = np.array([int((targets != IGNORED).sum()) for _, targets in hidden_blocks(encoder, dataset)])
    sums = found.rows["nats_per_masked_token"] * sizes.mean()
    draws = np.random.default_rng(0)
    chosen = draws.integers(len(sizes), size=(20_000, len(sizes)))
    ratios = sums[chosen].sum(1) / sizes[chosen].sum(1)
    mean = found.scores[0]
    assert mean.interval is not None
    low, high = mean.interval
    assert high - low == pytest.approx(np.subtract(*np.quantile(ratios, [0.975, 0.025])), rel=0.15)
    assert low < mean.value < high
    for field in ("interval:bca95", "rows:blocks"):
        assert f"|{field}" in mean.signature


class Indifferent(Encoder):
    """Gives all tokens the same score, which may be no number."""

    score = 0.0

    def fill(self, tokens: Tensor, places: Tensor, *, padding: Tensor | None = None) -> Tensor:
        return torch.full((int(places.sum()), self.vocab_size), self.score)


@pytest.fixture
def indifferent(dataset: Dataset) -> Indifferent:
    return Indifferent(EncoderConfig(family="encoder", size="tiny"), dataset.spec).eval()


def test_a_model_that_scores_all_tokens_alike_tells_nothing(
    indifferent: Indifferent, dataset: Dataset
) -> None:
    """Of equal scores that of the lower id stands before: five ids are among the first five, one is first."""
    truth = torch.cat([targets[targets != IGNORED] for _, targets in hidden_blocks(indifferent, dataset)])
    nats, first, top = measured(indifferent, dataset).scores
    assert nats.value == pytest.approx(math.log(indifferent.vocab_size))
    assert first.value == float((truth == 0).double().mean()) < 0.2
    assert top.value == pytest.approx(float((truth < 5).double().mean()))
    assert top.value < 0.5
    assert first.interval is not None  # of no hits at all


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_are_no_numbers_are_refused(
    indifferent: Indifferent, dataset: Dataset, score: float
) -> None:
    indifferent.score = score
    with pytest.raises(NumericalError, match=r"NaN or infinity in the scores of tokens\n  got: \d+ of \d+"):
        measured(indifferent, dataset)


def test_the_floor_counts_training_tokens(encoder: Encoder, dataset: Dataset) -> None:
    stream = dataset.split("train").stream
    assert stream is not None
    special = set(dataset.spec.special_tokens)
    ordinary = [number for number in range(dataset.spec.vocab_size) if number not in special]
    counts = Counter(token for token in stream.ids.tolist() if token not in special)
    total = sum(counts.values()) + len(ordinary)
    ranked = sorted(ordinary, key=lambda token: (-counts[token], token))
    targets = [
        int(target)
        for _, found in hidden_blocks(encoder, dataset)
        for target in found
        if int(target) != IGNORED
    ]
    nats = [-math.log((counts[target] + 1) / total) for target in targets]
    floors = {floor.metric: floor.value for floor in measured(encoder, dataset).floors}
    assert floors == pytest.approx(
        {
            "nats_per_masked_token_unigram": np.mean(nats),
            "accuracy_unigram": np.mean([target == ranked[0] for target in targets]),
            "accuracy_top5_unigram": np.mean([target in ranked[:5] for target in targets]),
        }
    )


def test_all_models_are_asked_for_the_same_tokens(encoder: Encoder, dataset: Dataset) -> None:
    torch.manual_seed(1)
    other = Encoder(EncoderConfig(family="encoder", size="tiny", positions="rotary"), dataset.spec).eval()
    first, second = measured(encoder, dataset), measured(other, dataset)
    assert [one.signature for one in first.scores] == [one.signature for one in second.scores]
    assert [one.to_json() for one in first.floors] == [one.to_json() for one in second.floors]
    assert first.scores[0].value != second.scores[0].value
    assert measured(encoder, dataset, seed=1).floors[0].value != first.floors[0].value
    signature = first.scores[0].signature
    assert dataset.tokenizer is not None
    for field in ("masked:0.15", f"tokenizer:{dataset.tokenizer.fingerprint[:16]}", "context_length:16"):
        assert f"|{field}" in signature
