"""The text embedder: what stands around a text, which pairs are no wrong answers, its vectors elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from creuset.data.spec import DataSpec
from creuset.data.text_pairs import TextPairs, TokenRows
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models import family
from creuset.models.pair_embedder import plain_targets, with_ids_around
from creuset.models.text_embedder import TextEmbedder, TextEmbedderConfig
from creuset.objectives.contrastive import info_nce_nats
from creuset.pretrained.sentence_embedder import SentenceEmbedder, save_embedder
from creuset.training.session import build_model

SENTENCES = ["the cat sat on the mat", "a dog", "one two three four five six seven", "mat", "the the cat"]


def spec_of(tokenizer: Tokenizer) -> DataSpec:
    before, behind = tokenizer.around()
    return DataSpec(
        kind="pairs",
        shape=(),
        num_levels=0,
        context=40,
        tokenizer=tokenizer.fingerprint,
        tokenizer_size=tokenizer.vocab_size,
        ids_before=before,
        ids_behind=behind,
    )


def build(tokenizer: Tokenizer, **settings: object) -> TextEmbedder:
    config = TextEmbedderConfig.model_validate({"family": "text_embedder", "size": "tiny", **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TextEmbedder(config, spec_of(tokenizer)).eval()
        for weight in model.parameters():  # large enough that texts differ
            torch.nn.init.normal_(weight, std=0.3)
    return model


def batch_of(tokenizer: Tokenizer, pairs: list[tuple[str, str]]) -> dict[str, torch.Tensor]:
    rows = [
        TokenRows.of(tokenizer.encode_batch([pair[side] for pair in pairs], add_special=False))
        for side in (0, 1)
    ]
    held = TextPairs(
        sources=tuple(pair[0] for pair in pairs),
        targets=tuple(pair[1] for pair in pairs),
        source_rows=rows[0],
        target_rows=rows[1],
        tokenizer_size=tokenizer.vocab_size,
    )
    return held.batch(torch.arange(len(pairs)))


@pytest.fixture(scope="module")
def wordpiece() -> Tokenizer:
    return train_tokenizer(SENTENCES, "wordpiece", vocabulary_size=60)


def test_a_text_stands_between_what_the_tokenizer_puts_around_it() -> None:
    tokens = torch.tensor([[5, 6, 7], [8, 0, 0]])
    whole, padding = with_ids_around(tokens, torch.tensor([3, 1]), (1,), (2, 3))
    assert whole.tolist() == [[1, 5, 6, 7, 2, 3], [1, 8, 2, 3, 0, 0]]
    assert padding.int().tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    plain, inside = with_ids_around(tokens, torch.tensor([3, 1]), (), ())
    assert torch.equal(plain, tokens)
    assert inside.sum(1).tolist() == [3, 1]


def test_targets_are_read_without_their_marks(wordpiece: Tokenizer) -> None:
    targets = batch_of(wordpiece, [("a dog", text) for text in SENTENCES])["targets"]
    found, lengths = plain_targets(targets)
    for row, text in enumerate(SENTENCES):
        assert found[row, : lengths[row]].tolist() == wordpiece.encode(text, add_special=False)
        assert not found[row, lengths[row] :].any()


def test_pairs_that_share_a_text_are_no_wrong_answers(wordpiece: Tokenizer) -> None:
    model = build(wordpiece, temperature=0.1)

    def loss_of(pairs: list[tuple[str, str]]) -> float:
        draws = BatchGenerator(0, "x", size=len(pairs))
        return float(model.loss(batch_of(wordpiece, pairs), "model", draws)["loss"].detach())

    shared = [("a dog", "mat"), ("the the cat", "mat"), ("mat", "one two three")]
    assert loss_of(shared) == pytest.approx(0, abs=1e-6)
    apart = [("a dog", "mat"), ("the the cat", "one two three")]
    sides = [torch.from_numpy(embedded(model, wordpiece, [pair[side] for pair in apart])) for side in (0, 1)]
    expected = float(info_nce_nats(*sides, temperature=0.1).mean())
    assert expected > 0.01
    assert loss_of(apart) == pytest.approx(expected, rel=1e-4)


def embedded(model: TextEmbedder, tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    rows = TokenRows.of(tokenizer.encode_batch(texts, add_special=False))
    return model.embed(rows.padded(torch.arange(len(texts)), 0), rows.lengths).numpy()


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("kind", ["wordpiece", "byte_bpe"])
def test_its_folder_gives_the_same_vectors_here_and_in_sentence_transformers(
    pooling: str, kind: str, tmp_path: Path
) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    size = {"wordpiece": 60, "byte_bpe": 270}[kind]
    tokenizer = train_tokenizer(SENTENCES, kind, vocabulary_size=size)  # type: ignore[arg-type]
    model = build(tokenizer, pooling=pooling)
    expected = embedded(model, tokenizer, SENTENCES)
    folder = tmp_path / "embedder"
    save_embedder(folder, model.embedder, tokenizer, max_tokens=model.max_tokens)
    ours = SentenceEmbedder.from_folder(folder)
    assert ours.max_tokens == model.max_tokens
    np.testing.assert_allclose(ours.embed(SENTENCES), expected, atol=1e-5)
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(SENTENCES)
    assert ((theirs * expected).sum(1) >= 0.99999).all()
    with pytest.raises(UsageError, match="something at this place already"):
        save_embedder(folder, model.embedder, tokenizer, max_tokens=model.max_tokens)


def test_a_base_is_taken_with_its_form_and_its_tokenizer(wordpiece: Tokenizer, tmp_path: Path) -> None:
    made = build(wordpiece)
    folder = tmp_path / "base"
    save_embedder(folder, made.embedder, wordpiece, max_tokens=made.max_tokens)
    section = TextEmbedderConfig(family="text_embedder", base=str(folder), dropout=0.1)
    model = build_model(family("text_embedder"), section, spec_of(wordpiece), seed=0)
    assert isinstance(model, TextEmbedder)
    expected = SentenceEmbedder.from_folder(folder).embed(SENTENCES)
    np.testing.assert_allclose(embedded(model, wordpiece, SENTENCES), expected, atol=1e-5)
    assert model.embedder.body.config.dropout == 0.1
    assert all(weight.requires_grad for weight in model.parameters())
    other = train_tokenizer(SENTENCES, "byte_bpe", vocabulary_size=270)
    with pytest.raises(UsageError, match=r"reads other tokens(.*\n)*.*next: set data.tokenizer: "):
        build_model(family("text_embedder"), section, spec_of(other), seed=0)
    long = replace(spec_of(wordpiece), context=41)
    with pytest.raises(UsageError, match=r"longer than this model reads(.*\n)*.*set data.context: 40"):
        build_model(family("text_embedder"), section, long, seed=0)


def test_a_base_decides_the_form() -> None:
    with pytest.raises(ValueError, match="num_layers has no effect: the form is that of base"):
        TextEmbedderConfig(family="text_embedder", base="minilm", num_layers=3)
