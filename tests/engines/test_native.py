"""The native driver: a small random model, and the SmolLM2 starter against llama.cpp."""

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.engines.base import Engine
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.native import Native
from creuset.engines.native_loading import NativeModel
from creuset.engines.request import Message, Request
from creuset.errors import DataError, NotFoundError, UsageError
from creuset.generation.sampling import Sampling
from creuset.generation.weight_formats import WeightFormat
from creuset.pretrained.folder import Pretrained, save_folder
from small_decoders import ours_of
from small_tokenizers import small

TEMPLATE = "{% for turn in messages %}<|im_start|>{{ turn.content }}<|im_end|>{% endfor %}"
CAPITAL = Request(prompt="The capital of France is", max_tokens=12)


def small_model(**changes: Any) -> NativeModel:
    backend = small("byte_level")
    torch.manual_seed(3)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.LlamaConfig(
        vocab_size=backend.get_vocab_size() + 7, max_position_embeddings=300, **sizes, **changes
    )
    model = ours_of(transformers.LlamaForCausalLM(config).eval())
    return NativeModel(
        config=model.config,
        weights=model.state_dict(),
        tokenizer=Tokenizer(backend, special=SpecialTokens(eos=(0,))),
        eos_ids=(0,),
        chat_template=ChatTemplate(TEMPLATE),
    )


@pytest.fixture(scope="module")
def tiny() -> Iterator[Native]:
    with Native(small_model(), name="tiny", precision="float32", context_length=200, pooling="mean") as one:
        yield one


def test_describe(tiny: Native) -> None:
    description = tiny.describe()
    assert (description.name, description.driver, description.precision) == ("tiny", "native", "float32")
    assert (description.context_length, description.vocab_size) == (200, small_model().config.vocab_size)
    assert description.abilities == {"chat", "log_probs", "embeddings"}
    assert tiny.computes_by == "FastDecoder"


def all_log_probs(precision: WeightFormat | None) -> NDArray[np.float64]:
    """Of each token of the vocabulary at each of 149 places."""
    model = small_model()
    with Native(model, name="one", precision=precision) as engine:
        assert engine.describe().precision == (precision or "float32")
        assert len(engine.complete(Request(prompt="The quick", max_tokens=8)).token_ids) == 8
        found = engine.log_probs(
            [5 + (7 * place) % 300 for place in range(150)], num_top=model.config.vocab_size
        )
    by_id = np.argsort(found.top_ids, axis=1)
    return np.take_along_axis(found.top_log_probs, by_id, axis=1)


@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-4), ("bfloat16", 0.06), ("int8", 0.08)])
def test_each_precision_is_close_to_float32(precision: WeightFormat, bound: float) -> None:
    """The largest difference of any log-probability, as a part of their spread over the vocabulary."""
    expected, found = all_log_probs(None), all_log_probs(precision)
    largest = np.abs(found - expected).max() / expected.std(axis=1).mean()
    assert largest < bound
    assert precision == "float32" or largest > 1e-3  # it is another format


def test_a_transformer_is_used_as_it_is_given() -> None:
    with Native(small_model(), name="plain", precision=None) as plain:
        assert plain.computes_by == "Transformer: it is used as it was given"


def test_log_probs_are_those_of_one_forward_pass(tiny: Native) -> None:
    model = small_model()
    with Native(model, name="plain", precision=None) as plain:
        ids = [5 + (7 * place) % 300 for place in range(150)]
        for start in (1, 129, 140, 150):
            found = tiny.log_probs(ids, start=start, num_top=3)
            other = plain.log_probs(ids, start=start, num_top=3)
            assert found.log_probs.shape == (150 - start,)
            assert found.top_ids.shape == (150 - start, 3)
            np.testing.assert_allclose(found.log_probs, other.log_probs, atol=1e-4)
            whole = tiny.log_probs(ids, num_top=3)
            np.testing.assert_allclose(found.log_probs, whole.log_probs[start - 1 :], atol=1e-5)
            assert (found.top_log_probs[:, 0] >= found.log_probs).all()


def test_scores_of_an_answer_are_log_probs_of_its_text(tiny: Native) -> None:
    request = Request(prompt=(5, 6, 7), max_tokens=6, sampling=Sampling(temperature=1.5), num_logprobs=2)
    answer = tiny.complete(request)
    given = tiny.log_probs([5, 6, 7, *answer.token_ids], start=3, num_top=2)
    np.testing.assert_allclose(given.log_probs, [one.log_prob for one in answer.log_probs], atol=1e-4)
    assert [[other.token_id for other in one.alternatives] for one in answer.log_probs] == [
        list(row) for row in given.top_ids.tolist()
    ]
    assert tiny.complete(Request(prompt=(5, 6, 7), max_tokens=2)).log_probs == ()


def test_embed_gives_vectors_of_length_1(tiny: Native) -> None:
    texts = ["The quick brown fox", "jumps over"]
    found = tiny.embed(texts)
    assert found.shape == (2, 32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(tiny.embed(texts[1:])[0], found[1], atol=1e-6)


def test_chat_is_the_templates_text(tiny: Native) -> None:
    chat = Request(messages=(Message(role="user", content="quick fox"),), max_tokens=5)
    plain = Request(prompt="<|im_start|>quick fox<|im_end|>", max_tokens=5)
    assert tiny.complete(chat).token_ids == tiny.complete(plain).token_ids
    assert tiny.count_tokens(chat) == tiny.count_tokens(plain)


def test_guessing_answers_alike() -> None:
    request = Request(prompt="over and over and over and over and", max_tokens=30)
    with (
        Native(small_model(), name="a", precision="float32") as plain,
        Native(small_model(), name="b", precision="float32", lookup=4) as guessing,
    ):
        assert plain.complete(request).text == guessing.complete(request).text


def test_closing_ends_the_template_s_process_and_lets_no_answer_begin() -> None:
    model = small_model()
    engine = Native(model, name="tiny", precision="float32")
    engine.count_tokens(Request(messages=(Message(role="user", content="hi"),)))
    assert model.chat_template is not None
    assert model.chat_template.process_id is not None
    engine.close()
    assert model.chat_template.process_id is None
    with pytest.raises(UsageError, match="tiny: this engine is closed"):
        engine.log_probs([1, 2])


def test_an_answer_does_not_begin_behind_a_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is closed by another thread while the prompt is cut into tokens."""
    engine = Native(small_model(), name="tiny", precision="float32")
    cut = engine._encode

    def closed_meanwhile(text: str, *, whole: bool = True) -> list[int]:
        engine._is_open = False  # what close does first
        return cut(text, whole=whole)

    monkeypatch.setattr(engine, "_encode", closed_meanwhile)
    with pytest.raises(UsageError, match="this engine is closed"):
        engine.stream(Request(prompt="hi", max_tokens=4))


def test_a_folder_is_opened(tmp_path: Path) -> None:
    model = small_model()
    folder = tmp_path / "tiny"
    save_folder(
        folder,
        Pretrained(
            config=model.config,
            state=model.weights,
            model_type="llama",
            tokenizer=model.tokenizer,
            chat_template=model.chat_template,
        ),
    )
    request = Request(prompt="The quick", max_tokens=8)
    with (
        Native.open(folder, precision="float32") as opened,
        Native(model, name="given", precision="float32") as given,
    ):
        assert opened.describe().name == "tiny"
        assert opened.complete(request).token_ids == given.complete(request).token_ids
        assert "chat" in opened.describe().abilities
    with pytest.raises(NotFoundError, match="no such file or folder"):
        Native.open(tmp_path / "absent")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(DataError, match="a model without a tokenizer"):
        Native.open(folder)


def test_what_it_cannot_do_is_refused(tiny: Native) -> None:
    with pytest.raises(UsageError, match="native gives no answers that fit a grammar"):
        tiny.stream(Request(prompt="a", grammar="root ::= x"))
    with pytest.raises(UsageError, match="native gives no answers that fit a JSON schema"):
        tiny.stream(Request(prompt="a", json_schema={"type": "string"}))
    with pytest.raises(UsageError, match="no token of the text that has one before it"):
        tiny.log_probs([1, 2], start=3)
    with pytest.raises(UsageError, match="not trained for\n  got: context_length 301\n  expected: 1 to 300"):
        Native(small_model(), name="long", context_length=301)
    closed = Native(small_model(), name="closed", precision="float32")
    closed.close()
    for call in (
        lambda: closed.stream(CAPITAL),
        lambda: closed.log_probs([1, 2]),
        lambda: closed.embed(["a"]),
    ):
        with pytest.raises(UsageError, match="this engine is closed"):
            call()
    plain = Native(small_model(), name="plain", precision="float32")
    with pytest.raises(UsageError, match="no vectors of texts"):
        plain.embed(["a"])


@pytest.fixture(scope="module")
def native(model_file: Path) -> Iterator[Native]:
    with Native.open(model_file, name="smollm2-135m", precision="float32", context_length=320) as opened:
        yield opened


@pytest.fixture(scope="module")
def llama(model_file: Path) -> Iterator[LlamaCpp]:
    with LlamaCpp(model_file, name="smollm2-135m", context_length=320) as opened:
        yield opened


@pytest.fixture(params=["native", "llamacpp"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue({"native": "native", "llamacpp": "llama"}[request.param])
    return found


@pytest.mark.starter
@pytest.mark.parametrize("prompt", ["1, 2, 3, 4, 5, 6,", "Water boils at"])
def test_both_drivers_write_the_same_24_tokens(native: Native, llama: LlamaCpp, prompt: str) -> None:
    request = Request(prompt=prompt, max_tokens=24)
    assert native.complete(request).token_ids == llama.complete(request).token_ids


@pytest.mark.starter
@pytest.mark.parametrize("prompt", ["The capital of France is", "Once upon a time", "def fibonacci(n):"])
def test_drivers_part_only_where_two_tokens_are_nearly_as_likely(
    native: Native, llama: LlamaCpp, prompt: str
) -> None:
    """llama.cpp rounds what it multiplies with weights of 4 bits to 8 bits."""
    found = native.complete(Request(prompt=prompt, max_tokens=16, num_logprobs=2))
    other = llama.complete(Request(prompt=prompt, max_tokens=16))
    pairs = enumerate(zip(found.token_ids, other.token_ids, strict=False))
    parting = next((place for place, (one, another) in pairs if one != another), None)
    assert parting is None or parting >= 4
    if parting is not None:
        first, second = found.log_probs[parting].alternatives
        assert second.token_id == other.token_ids[parting]
        assert first.log_prob - second.log_prob < 0.25


@pytest.mark.starter
def test_both_drivers_read_a_chat_alike(native: Native, llama: LlamaCpp) -> None:
    chat = Request(messages=(Message(role="user", content="Count from 1 to 10."),), max_tokens=24)
    assert native.count_tokens(chat) == llama.count_tokens(chat)
    assert native.complete(chat).token_ids == llama.complete(chat).token_ids


@pytest.mark.starter
def test_both_drivers_find_a_text_about_as_likely(native: Native, llama: LlamaCpp) -> None:
    text = "The capital of France is Paris, and the capital of Italy is Rome."
    found, other = native.log_probs(text), llama.log_probs(text)
    assert found.token_ids.tolist() == other.token_ids.tolist()
    assert abs(found.log_probs.mean() - other.log_probs.mean()) < 0.05


@pytest.mark.starter
def test_pieces_are_the_whole_and_the_usage_counts(engine: Engine) -> None:
    pieces = list(engine.stream(CAPITAL))
    answer = engine.complete(CAPITAL)
    assert "".join(piece.text for piece in pieces) == answer.text
    assert [piece.finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert answer.finish_reason == "length"
    assert (answer.usage.num_prompt_tokens, answer.usage.num_completion_tokens) == (5, 12)
    assert 0 < answer.usage.seconds_to_first_token <= answer.usage.seconds


@pytest.mark.starter
def test_a_stop_string_ends_the_answer(engine: Engine) -> None:
    whole = engine.complete(CAPITAL).text
    stop = whole[4:12]
    found = engine.complete(Request(prompt=CAPITAL.prompt, max_tokens=12, stop=("never", stop)))
    assert (found.text, found.finish_reason) == (whole[: whole.index(stop)], "stop")


@pytest.mark.starter
def test_an_end_token_is_told_and_is_no_text(engine: Engine) -> None:
    turn = (Message(role="user", content="Say only the word yes."),)
    found = engine.complete(Request(messages=turn, max_tokens=200))
    assert found.finish_reason == "stop"
    assert found.token_ids[-1] == 2  # <|im_end|>
    assert "<|im_end|>" not in found.text


@pytest.mark.starter
def test_no_piece_ends_in_half_a_character(engine: Engine) -> None:
    pieces = list(engine.stream(Request(prompt="🦄" * 12, max_tokens=7)))
    assert [piece.text for piece in pieces if piece.text] == ["🦄", "🦄"]


@pytest.mark.starter
@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda one: one.stream(Request(prompt=(5,) * 300, max_tokens=21)), r"321(.|\n)*at most 320"),
        (lambda one: one.log_probs([5] * 321), r"321 tokens\n  expected: at most 320"),
        (lambda one: one.stream(Request(prompt=(), max_tokens=1)), "the prompt has no token"),
        (lambda one: one.stream(Request(prompt=(49152,), max_tokens=1)), "ids from 0 to 49151"),
        (lambda one: one.embed(["a"]), "no vectors of texts"),
    ],
)
def test_the_same_is_refused(engine: Engine, ask: Callable[[Engine], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(engine)


@pytest.mark.starter
def test_cancel_from_another_thread(engine: Engine) -> None:
    endless = Sampling(logit_bias={0: -100.0, 2: -100.0})
    pieces = engine.stream(Request(prompt="Once upon a time", max_tokens=200, sampling=endless))
    for _ in range(3):
        next(pieces)
    canceller = threading.Thread(target=engine.cancel)
    canceller.start()
    canceller.join()
    last = list(pieces)[-1]
    assert last.finish_reason == "cancelled"
    assert last.usage is not None
    assert last.usage.num_completion_tokens <= 8
    assert engine.complete(Request(prompt="a", max_tokens=1)).finish_reason == "length"


@pytest.mark.starter
def test_the_seed_decides(engine: Engine) -> None:
    texts = [
        engine.complete(
            Request(prompt="Once", max_tokens=8, sampling=Sampling(temperature=1.0, seed=seed))
        ).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.starter
def test_scores_name_the_token_and_its_bytes(engine: Engine) -> None:
    (score,) = engine.complete(Request(prompt=CAPITAL.prompt, max_tokens=1, num_logprobs=3)).log_probs
    assert score.token_bytes == b" Paris"
    assert score.alternatives[0].token_id == score.token_id
    assert score.alternatives[0].log_prob == pytest.approx(score.log_prob)
    assert 0.1 < math.exp(score.log_prob) < 1
    assert len(score.alternatives) == 3
