"""Likelihoods of documents against a slow twin that reads each window by itself."""

import math
from itertools import count

import pytest
import torch

from creuset.data.corpus_split import read_stream
from creuset.data.text_loss import TextLoss
from creuset.data.token_stream import TokenStream
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer
from creuset.generation.text_likelihoods import document_likelihoods, nats_by_place, text_scores
from creuset.metrics.signature import NO_CONTEXT
from creuset.models.decoder import Decoder, DecoderConfig
from creuset.models.language_model import LanguageModel
from creuset.models.rnn_lm import RNNLanguageModel, RNNLanguageModelConfig
from creuset.progress import Silent
from small_transformers import corpus_spec

TEXTS = [
    "the first text of four\n",
    "été\n",
    "x",
    "a longer text that takes several windows to read, in the end\n",
] * 5
KEPT = TextLoss(unknown=0.0, changes=False)
CONTEXT = 8
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["characters", "byte_bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    size = 265 if request.param == "byte_bpe" else None
    return train_tokenizer(TEXTS, request.param, vocabulary_size=size)


def model_of(family: str, tokenizer: Tokenizer) -> LanguageModel:
    spec = corpus_spec(tokenizer.vocab_size, CONTEXT, tokenizer=tokenizer.fingerprint)
    torch.manual_seed(0)
    if family == "decoder":
        return Decoder(DecoderConfig(family=family, size="tiny"), spec).eval()
    return RNNLanguageModel(RNNLanguageModelConfig(family=family, size="tiny"), spec).eval()


def slow_nats(model: LanguageModel, ids: list[int], stride: int) -> float:
    """Window by window, token by token; ids[0] is read only."""
    inputs, targets = ids[:-1], ids[1:]
    total = 0.0
    done = 0
    for number in count():
        if done >= len(targets):
            return total
        scored = min(CONTEXT if number == 0 else stride, len(targets) - done)
        start = max(0, done + scored - CONTEXT)
        for place in range(done, done + scored):
            window = torch.tensor([inputs[start : place + 1]])
            scores = model.scores(model.states(window, None))[0, -1]
            total -= float(scores.detach().log_softmax(-1)[targets[place]])
        done += scored
    raise AssertionError


@pytest.mark.parametrize("family", ["decoder", "rnn_lm"])
@pytest.mark.parametrize("separated", [True, False])
@pytest.mark.parametrize("stride", [None, 3, 8])
def test_documents_are_read_in_sliding_windows(
    tokenizer: Tokenizer, family: str, separated: bool, stride: int | None
) -> None:
    model = model_of(family, tokenizer)
    separator = tokenizer.special.eos[0] if separated else None
    stream = read_stream(
        [(str(number), text) for number, text in enumerate(TEXTS)],
        tokenizer,
        context=CONTEXT,
        separator=separator,
    )
    found = document_likelihoods(model, stream, tokenizer, device=CPU, progress=Silent(), stride=stride)
    assert found.num_bytes.tolist() == [len(text.encode()) for text in TEXTS]
    for number, document in enumerate(stream.documents):
        ids = document.ids.tolist()
        assert found.num_tokens[number] == len(ids)
        first = math.log(tokenizer.vocab_size) if separator is None else 0.0
        read = ids if separator is None else [separator, *ids]
        expected = first + slow_nats(model, read, stride or CONTEXT // 2)
        assert found.nats[number] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("separated", [True, False])
def test_passages_of_a_few_documents_add_up_to_them(tokenizer: Tokenizer, separated: bool) -> None:
    model = model_of("decoder", tokenizer)
    separator = tokenizer.special.eos[0] if separated else None
    texts = [("a", "".join(TEXTS) * 20), ("b", "x"), ("c", "one line\n")]
    stream = read_stream(texts, tokenizer, context=CONTEXT, separator=separator)
    found = document_likelihoods(model, stream, tokenizer, device=CPU, progress=Silent())
    assert found.rows == "passages"
    assert 150 <= len(found.nats) <= 200 + len(texts)
    pieces = [document.ids.tolist() for document in stream.documents]
    assert found.num_bytes.sum() == sum(len(text.encode()) for _, text in texts)
    assert found.num_tokens.sum() == sum(len(ids) for ids in pieces)
    first = len(texts) * math.log(tokenizer.vocab_size) if separator is None else 0.0
    if separator is not None:
        pieces = [[separator, *ids] for ids in pieces]
    assert found.nats.sum() == pytest.approx(
        first + sum(slow_nats(model, ids, CONTEXT // 2) for ids in pieces), rel=1e-5
    )
    assert (found.num_bytes >= found.num_tokens).all()
    score = text_scores(found, loss=KEPT, context=NO_CONTEXT)[2]
    assert score.interval is not None
    assert score.interval[0] < score.value < score.interval[1]
    assert "rows:passages" in score.signature


def test_passages_are_the_same_for_any_tokenizer() -> None:
    texts = [("a", "".join(TEXTS) * 7), ("b", "été"), ("c", "x\n")]
    sizes = []
    for kind, size in (("characters", None), ("byte_bpe", 300), ("unigram", 40)):
        tokenizer = train_tokenizer(TEXTS, kind, vocabulary_size=size)  # type: ignore[arg-type]
        for separator in (None, tokenizer.special.separator):
            stream = read_stream(texts, tokenizer, context=CONTEXT, separator=separator)
            model = model_of("rnn_lm", tokenizer)
            found = document_likelihoods(model, stream, tokenizer, device=CPU, progress=Silent())
            sizes.append(found.num_bytes.tolist())
    assert all(found == sizes[0] for found in sizes)
    assert len(sizes[0]) > 50


@pytest.mark.parametrize("family", ["decoder", "rnn_lm"])
def test_the_loss_by_place_is_that_of_blocks(tokenizer: Tokenizer, family: str) -> None:
    model = model_of(family, tokenizer)
    stream = read_stream(
        [(str(number), text) for number, text in enumerate(TEXTS)], tokenizer, context=CONTEXT, separator=None
    )
    ids = stream.ids.long()
    found: dict[int, list[float]] = {}
    for start in range(0, len(ids) - 1, CONTEXT):
        block = ids[start : start + CONTEXT + 1]
        log_probs = model.scores(model.states(block[None, :-1], None))[0].detach().log_softmax(-1)
        for place, target in enumerate(block[1:].tolist()):
            found.setdefault(place, []).append(-float(log_probs[place, target]))
    expected = [sum(values) / len(values) for values in found.values()]
    assert nats_by_place(model, stream, device=CPU) == pytest.approx(expected, rel=1e-4)


def test_scores_are_sums_over_documents(tokenizer: Tokenizer) -> None:
    model = model_of("decoder", tokenizer)
    stream: TokenStream = read_stream(
        [(str(number), text) for number, text in enumerate(TEXTS)], tokenizer, context=CONTEXT, separator=None
    )
    found = document_likelihoods(model, stream, tokenizer, device=CPU, progress=Silent())
    nats, perplexity, bits = text_scores(found, loss=KEPT, context=NO_CONTEXT)
    per_token = found.nats.sum() / found.num_tokens.sum()
    assert nats.value == pytest.approx(per_token)
    assert perplexity.value == pytest.approx(math.exp(per_token))
    assert bits.value == pytest.approx(found.nats.sum() / found.num_bytes.sum() / math.log(2))
    assert "context_length:8" in nats.signature
    assert "stride:4" in nats.signature
    assert f"tokenizer:{tokenizer.fingerprint[:16]}" in nats.signature
