"""Writing texts: the loop against a loop that reads everything anew for each token."""

import itertools
from collections.abc import Sequence

import pytest
import torch
import transformers

from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import SpecialTokens
from creuset.errors import DataError, UsageError
from creuset.generation import decoding
from creuset.generation.decoding import Writer, known_ids
from creuset.generation.fast_decoder import FastDecoder
from creuset.generation.prompt_lookup import PromptLookup
from creuset.generation.sampling import Sampling
from creuset.generation.written_text import Output, TextRequest
from creuset.layers.key_value_cache import KeyValueCache
from creuset.models.transformer import Transformer
from small_decoders import ours_of, random_decoder, token_ids
from small_tokenizers import small

WARM = Sampling(temperature=0.8, top_k=20, top_p=0.95, repeat_penalty=1.2, seed=5)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return ours_of(random_decoder("llama, llama3 scaling"))


@pytest.fixture(scope="module", params=["plain", "fast"])
def either(model: Transformer, request: pytest.FixtureRequest) -> Transformer | FastDecoder:
    if request.param == "plain":
        return model
    return FastDecoder(model.config, model.state_dict(), precision="float32")


@pytest.fixture(scope="module")
def speller() -> tuple[Transformer, Tokenizer]:
    """A model of 61 ids, and a byte-level tokenizer of which it knows the first 61."""
    backend = small("byte_level")
    torch.manual_seed(3)
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=backend.get_vocab_size() + 7,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=200,
        )
    ).eval()
    return ours_of(theirs), Tokenizer(backend, special=SpecialTokens(eos=(0,)))


def ids_of(outputs: Sequence[list[Output]], row: int = 0) -> list[int]:
    return [token for step in outputs for one in step if one.row == row for token in one.token_ids]


def text_of(outputs: Sequence[list[Output]], row: int = 0) -> str:
    return "".join(one.text for step in outputs for one in step if one.row == row)


@torch.no_grad()
def slow_greedy(model: Transformer, prompt: list[int], num_tokens: int) -> list[int]:
    ids = list(prompt)
    for _ in range(num_tokens):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def test_cached_is_uncached(model: Transformer, either: Transformer | FastDecoder) -> None:
    prompt = token_ids(6).tolist()
    outputs = list(Writer(either).write([TextRequest(prompt=prompt, max_tokens=30)]))
    assert ids_of(outputs) == slow_greedy(model, prompt, 30)
    assert [one.reason for (one,) in outputs] == [None] * 29 + ["length"]


@pytest.mark.parametrize("sampling", [Sampling(), WARM])
def test_batched_is_single(either: Transformer | FastDecoder, sampling: Sampling) -> None:
    prompts = [token_ids(length, seed=length).tolist() for length in (9, 1, 4, 6)]
    lengths = (12, 20, 5, 20)
    requests = [
        TextRequest(prompt=prompt, max_tokens=length, sampling=sampling, num_alternatives=2)
        for prompt, length in zip(prompts, lengths, strict=True)
    ]
    writer = Writer(either, eos_ids=(7, 8, 9))
    together = list(writer.write(requests))
    for row, request in enumerate(requests):
        alone = list(writer.write([request]))
        assert ids_of(together, row) == ids_of(alone)
        scores = [score for step in together for one in step if one.row == row for score in one.scores]
        expected = [score for (one,) in alone for score in one.scores]
        found = torch.tensor([score.log_prob for score in scores])
        torch.testing.assert_close(found, torch.tensor([score.log_prob for score in expected]))
        assert [score.top_ids for score in scores] == [score.top_ids for score in expected]


def test_the_seed_decides(model: Transformer) -> None:
    prompt = token_ids(4).tolist()
    writer = Writer(model)
    found = [
        ids_of(
            list(
                writer.write(
                    [TextRequest(prompt=prompt, max_tokens=12, sampling=Sampling(temperature=1.5, seed=seed))]
                )
            )
        )
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


def test_an_end_token_ends_a_text_and_is_told(model: Transformer) -> None:
    prompt = token_ids(6).tolist()
    whole = slow_greedy(model, prompt, 30)
    outputs = list(Writer(model, eos_ids=[whole[9]]).write([TextRequest(prompt=prompt, max_tokens=30)]))
    assert ids_of(outputs) == whole[: whole.index(whole[9]) + 1]
    assert outputs[-1][0].reason == "stop"


def test_pieces_are_the_text_and_no_unknown_id_is_drawn(speller: tuple[Transformer, Tokenizer]) -> None:
    model, tokenizer = speller
    writer = Writer(model, tokenizer)
    for seed in range(6):
        request = TextRequest(
            prompt=tokenizer.encode("The quick"),
            max_tokens=60,
            sampling=Sampling(temperature=1.0, seed=seed),
        )
        outputs = list(writer.write([request]))
        ids = ids_of(outputs)
        assert max(ids) < tokenizer.vocab_size
        spoken = [number for number in ids if number != 0]
        assert text_of(outputs) == tokenizer.decode(spoken).rstrip("�")


def test_a_stop_string_ends_the_text_and_is_held_back(speller: tuple[Transformer, Tokenizer]) -> None:
    model, tokenizer = speller
    writer = Writer(model, tokenizer, eos_ids=())
    prompt = tokenizer.encode("The quick")
    whole = text_of(list(writer.write([TextRequest(prompt=prompt, max_tokens=60, sampling=WARM)])))
    stop = whole[10:13]
    request = TextRequest(prompt=prompt, max_tokens=60, sampling=WARM, stop=("never there", stop))
    outputs = list(writer.write([request]))
    assert text_of(outputs) == whole[: whole.index(stop)]
    assert outputs[-1][0].reason == "stop"
    assert len(ids_of(outputs)) < 60


def test_cancel_ends_all_texts_between_steps(model: Transformer) -> None:
    asked = itertools.count()
    requests = [TextRequest(prompt=[3], max_tokens=2), TextRequest(prompt=[4, 5], max_tokens=30)]
    outputs = list(Writer(model).write(requests, cancelled=lambda: next(asked) == 4))
    assert len(ids_of(outputs, 0)) == 2
    assert len(ids_of(outputs, 1)) == 4
    assert outputs[-1] == [Output(row=1, text="", token_ids=(), reason="cancelled")]


@pytest.mark.parametrize("at_once", [1, 5, 7, 100])
def test_a_prompt_that_is_read_in_parts_is_the_same_prompt(
    either: Transformer | FastDecoder, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [token_ids(length, seed=length).tolist() for length in (21, 3, 14)]
    requests = [TextRequest(prompt=prompt, max_tokens=8, num_alternatives=1) for prompt in prompts]
    writer = Writer(either)
    whole = list(writer.write(requests))
    monkeypatch.setattr(decoding, "PREFILL_AT_ONCE", at_once)
    parts = list(writer.write(requests))
    for row in range(3):
        assert ids_of(parts, row) == ids_of(whole, row)
        found, expected = (
            [score.log_prob for step in outputs for one in step if one.row == row for score in one.scores]
            for outputs in (parts, whole)
        )
        assert found == pytest.approx(expected, abs=1e-5)


def test_cancel_comes_between_the_parts_of_a_long_prompt(
    either: Transformer | FastDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "PREFILL_AT_ONCE", 4)
    caches: list[KeyValueCache] = []
    make = type(either).new_cache

    def kept(self: Transformer | FastDecoder, num_rows: int, capacity: int) -> KeyValueCache:
        caches.append(make(self, num_rows, capacity))  # type: ignore[arg-type]
        return caches[-1]

    monkeypatch.setattr(type(either), "new_cache", kept)
    asked = itertools.count()
    request = TextRequest(prompt=token_ids(40).tolist(), max_tokens=5)
    outputs = list(Writer(either).write([request], cancelled=lambda: next(asked) == 2))
    assert outputs == [[Output(row=0, text="", token_ids=(), reason="cancelled")]]
    assert caches[0].lengths == [8]  # two parts of ten


def test_what_is_impossible_is_refused_by_the_call(speller: tuple[Transformer, Tokenizer]) -> None:
    model, tokenizer = speller
    writer = Writer(model, tokenizer)
    fits = TextRequest(prompt=[5] * 150, max_tokens=50)
    with pytest.raises(
        UsageError, match=r"request 2: longer than the model's context(.|\n)*151(.|\n)*50: 201(.|\n)*200"
    ):
        writer.write([fits, TextRequest(prompt=[5] * 151, max_tokens=50)])
    with pytest.raises(UsageError, match="no request"):
        writer.write([])
    with pytest.raises(UsageError, match="the prompt has no token"):
        writer.write([TextRequest(prompt=[], max_tokens=1)])
    with pytest.raises(UsageError, match="max_tokens\n  got: 0"):
        writer.write([TextRequest(prompt=[1], max_tokens=0)])
    with pytest.raises(UsageError, match="no such token\n  got: 5000"):
        writer.write([TextRequest(prompt=[5000], max_tokens=1)])
    with pytest.raises(UsageError, match="single text"):
        writer.write([fits, TextRequest(prompt=[5], max_tokens=1, lookup=2)])
    with pytest.raises(UsageError, match="stop strings need a tokenizer"):
        Writer(model).write([TextRequest(prompt=[1], max_tokens=1, stop=("a",))])
    with pytest.raises(UsageError, match="decoder_start"):
        Writer(model, decoder_start=[1])


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(model: Transformer) -> None:
    with pytest.raises(DataError, match="does not fit the weights"):
        Writer(model, Tokenizer(small("byte_level")))


def test_known_ids_leave_out_what_is_beyond_the_tokenizer() -> None:
    tokenizer = Tokenizer(small("byte_level"))
    known = known_ids(tokenizer, tokenizer.vocab_size + 2)
    assert known is not None
    assert known.tolist() == [True] * tokenizer.vocab_size + [False] * 2
    assert known_ids(tokenizer, tokenizer.vocab_size) is None


@pytest.mark.parametrize("sampling", [Sampling(), WARM, Sampling(temperature=0.3, frequency_penalty=0.2)])
@pytest.mark.parametrize("num_guessed", [1, 4, 9])
def test_guessing_changes_no_token(
    either: Transformer | FastDecoder, sampling: Sampling, num_guessed: int
) -> None:
    prompt = token_ids(7).tolist() * 3
    writer = Writer(either)
    plain = TextRequest(prompt=prompt, max_tokens=40, sampling=sampling, num_alternatives=1)
    expected = list(writer.write([plain]))
    outputs = list(
        writer.write(
            [
                TextRequest(
                    prompt=prompt,
                    max_tokens=40,
                    sampling=sampling,
                    num_alternatives=1,
                    lookup=num_guessed,
                )
            ]
        )
    )
    assert ids_of(outputs) == ids_of(expected)
    found = [score.log_prob for (one,) in outputs for score in one.scores]
    slow = [score.log_prob for (one,) in expected for score in one.scores]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(slow))


def test_guessing_takes_fewer_steps_where_a_text_repeats_itself(model: Transformer) -> None:
    bias = Sampling(logit_bias={5: 100.0})
    request = TextRequest(prompt=[5, 5, 5, 5], max_tokens=40, sampling=bias, lookup=4)
    assert len(list(Writer(model).write([request]))) <= 12


def test_a_guess_is_what_followed_the_last_time() -> None:
    lookup = PromptLookup(3, ngram=2)
    assert lookup.guess([1, 2, 3, 4, 1, 2], 9) == [3, 4, 1]
    assert lookup.guess([1, 2, 3, 4, 1, 2, 9, 1, 2], 9) == [9, 1, 2]
    assert lookup.guess([1, 2, 3, 4, 1, 2, 9, 1, 2], 1) == [9]
    assert lookup.guess([1, 2, 3, 4, 1, 2, 9, 1, 2, 8], 9) == []
    assert PromptLookup(3).guess([1, 2], 9) == []


def test_wrong_guesses_make_it_wait_longer_each_time() -> None:
    lookup = PromptLookup(2, ngram=1)
    ids, waits = [1, 2, 1], []
    for _ in range(3):
        assert lookup.guess(ids, 9) == [2, 1]
        lookup.learn(2, 0)
        waits.append(next(n for n in itertools.count() if lookup.guess(ids, 9)))
    assert waits == [1, 2, 4]
    lookup.learn(2, 1)
    assert lookup.guess(ids, 9) == [2, 1]
    assert (lookup.num_guessed, lookup.num_right) == (8, 1)
