"""The suite `retrieval`: its numbers by counting, intervals at both ends, vectors that are no numbers."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from creuset.data.dataset import Dataset
from creuset.data.load import load_data
from creuset.device import BatchGenerator
from creuset.errors import NumericalError
from creuset.evaluation import Evaluation, Subject, evaluate
from creuset.metrics.intervals import wilson_interval
from creuset.models import family
from creuset.models.base import Batch, Model
from creuset.progress import Silent
from creuset.recipe.sections import DataConfig

NUM = 40


class Letters(Model):
    """The vector of a text is that of its last letter: one of its own for each, or one of all."""

    def __init__(self, num_tokens: int, kind: str) -> None:
        super().__init__()
        tables = {
            "own": torch.eye(num_tokens),
            "same": torch.ones(num_tokens, num_tokens),
            "nan": torch.full((num_tokens, num_tokens), torch.nan),
        }
        self.table = torch.nn.Parameter(tables[kind])

    def loss(self, batch: Batch, player: str, generator: BatchGenerator) -> dict[str, Tensor]:
        raise NotImplementedError

    @torch.no_grad()
    def embed(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return self.table[tokens.gather(1, lengths[:, None] - 1)[:, 0]]


def dataset(folder: Path, targets_each: int = 1) -> Dataset:
    pairs = [
        {"source": f"say {chr(65 + number)}", "target": f"{'so ' * (part + 1)}{chr(65 + number)}"}
        for number in range(NUM)
        for part in range(targets_each)
    ]
    place = folder / "pairs.jsonl"
    place.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    config = DataConfig(
        source=str(place), tokenizer="bytes", context=16, validation_share=0.1, test_share=0.8
    )
    return load_data(config, seed=0, resolve=Path)


def measured(data: Dataset, kind: str) -> Evaluation:
    model = Letters(data.spec.tokenizer_size, kind)
    return evaluate(
        Subject(family=family("text_embedder"), model=model, device=torch.device("cpu")),
        data,
        "test",
        suite="retrieval",
        num_importance_samples=1,
        seed=0,
        progress=Silent(),
    )


@pytest.mark.parametrize("targets_each", [1, 2])
def test_all_found_has_an_interval(tmp_path: Path, targets_each: int) -> None:
    data = dataset(tmp_path, targets_each)
    pairs = data.split("test").pairs
    assert pairs is not None
    known = set(pairs.sources)
    found = measured(data, "own")
    scores = {score.metric: score for score in found.scores}
    number = len(known)
    assert number > 10
    for name in ("recall@10", "mrr", *(("recall@1",) if targets_each == 1 else ())):
        assert (scores[name].value, scores[name].n) == (1.0, number)
        assert scores[name].interval == wilson_interval(number, number)
    assert ("|interval:wilson95" in scores["recall@10"].signature) == (targets_each == 1)
    assert ("|interval_at_0_and_1:wilson95" in scores["recall@10"].signature) == (targets_each == 2)
    if targets_each == 2:
        assert scores["recall@1"].value == 0.5


def test_a_model_that_says_the_same_of_all_finds_one_by_chance(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    found = measured(data, "same")
    recall = found.scores[0]
    assert recall.value == pytest.approx(1 / recall.n)
    assert recall.interval == wilson_interval(1, recall.n)


def test_vectors_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NumericalError, match=r"NaN or infinity in the vectors of texts\n  got: 32 of 32"):
        measured(dataset(tmp_path), "nan")
