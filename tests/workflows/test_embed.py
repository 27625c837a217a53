"""A text embedder from a recipe to vectors: trained, measured, reported, and loaded elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest

from creuset.errors import UsageError
from creuset.pretrained.sentence_embedder import SentenceEmbedder
from creuset.runs.folder import RunFolder
from creuset.workflows.embed import export_embedder, open_embedder
from creuset.workflows.load import load
from creuset.workflows.train import train

RECIPE = """
model: {{family: text_embedder, size: tiny}}
data: {{source: {source}, tokenizer: words, context: 16, batch_size: 16, test_share: 0.3}}
training: {{num_steps: 60, learning_rate: 5e-3, log_every: 20{more}}}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers and their names backwards: a text and its partner share one word."""
    place = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    pairs = [
        {"source": f"what is w{a} with v{b}", "target": f"v{b} w{a}"} for a in range(15) for b in range(15)
    ]
    place.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return place


@pytest.fixture(scope="module")
def run(source: Path) -> RunFolder:
    recipe = source.with_name("embedder.yaml")
    recipe.write_text(RECIPE.format(source=source, more=""))
    return train(recipe, name=source.with_name("run")).folder


def test_it_finds_partners_better_than_before(run: RunFolder) -> None:
    document = run.evaluations()["retrieval"]
    scores = {score["metric"]: score["value"] for score in document["scores"]}
    before = {score["metric"]: score["value"] for score in document["floors"]}
    assert list(scores) == ["recall@1", "recall@10", "mrr"]
    assert list(before) == ["recall@1_untrained", "recall@10_untrained", "mrr_untrained"]
    assert scores["recall@10"] > before["recall@10_untrained"] + 0.1
    assert scores["mrr"] > before["mrr_untrained"] + 0.1
    page = run.report_path.read_text()
    assert "before training" in page
    assert "partner nearest" in page


def test_its_folder_gives_the_same_vectors(run: RunFolder, tmp_path: Path) -> None:
    texts = ["what is w1 with v2", "v2 w1", "w3"]
    loaded = load(run)
    vectors = open_embedder(loaded).embed(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    export_embedder(loaded, tmp_path / "folder")
    other = SentenceEmbedder.from_folder(tmp_path / "folder")
    np.testing.assert_allclose(other.embed(texts), vectors, atol=1e-5)
    assert float(vectors[0] @ vectors[1]) > float(vectors[0] @ vectors[2])


def test_a_batch_is_never_cut(source: Path) -> None:
    recipe = source.with_name("cut.yaml")
    recipe.write_text(RECIPE.format(source=source, more=", accumulate: 2"))
    with pytest.raises(UsageError, match=r"cannot be cut(.*\n)*.*training.accumulate: 1"):
        train(recipe, name=source.with_name("cut"))
