"""What a language model goes on with: decided by the seed, within its tokens, ended well."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from creuset.data.spec import DataSpec
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.generation.continuations import continuations, prompt_ids, text_sheet
from creuset.generation.sampling import Sampling
from creuset.models.decoder import Decoder, DecoderConfig
from creuset.models.language_model import LanguageModel
from small_transformers import corpus_spec

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["abc é\n"], "characters")


def spec_of(tokenizer: Tokenizer, context: int = 8) -> DataSpec:
    return corpus_spec(tokenizer.vocab_size, context, tokenizer=tokenizer.fingerprint)


@pytest.fixture
def decoder(tokenizer: Tokenizer) -> Decoder:
    torch.manual_seed(0)
    return Decoder(DecoderConfig(family="decoder", size="tiny"), spec_of(tokenizer)).eval()


def write(model: LanguageModel, tokenizer: Tokenizer, prompt: str = "ab", **changed: object) -> list[str]:
    options = {"num_texts": 3, "max_tokens": 20, "sampling": Sampling(temperature=1.0), **changed}
    return continuations(model, tokenizer, prompt, device=CPU, **options)  # type: ignore[arg-type]


class Scripted(LanguageModel):
    """Says the same next tokens whatever it reads, and keeps what it was given."""

    def __init__(self, spec: DataSpec, script: Sequence[int]) -> None:
        super().__init__("scripted", spec)
        self.script, self.given = list(script), []  # type: ignore[var-annotated]

    def states(self, tokens: Tensor, generator: BatchGenerator | None) -> Tensor:
        raise NotImplementedError

    def scores(self, states: Tensor) -> Tensor:
        raise NotImplementedError

    def reader(self, num_rows: int) -> "Scripted":
        return self

    def read(self, tokens: Tensor) -> Tensor:
        self.given.append(tokens.tolist())
        logits = torch.zeros(len(tokens), self.vocab_size)
        logits[:, self.script[len(self.given) - 1]] = 9.0
        return logits


def test_the_seed_and_the_number_of_a_text_decide_it(decoder: Decoder, tokenizer: Tokenizer) -> None:
    texts = write(decoder, tokenizer)
    assert texts == write(decoder, tokenizer)
    assert len(set(texts)) == 3
    assert write(decoder, tokenizer, num_texts=2) == texts[:2]
    assert write(decoder, tokenizer, sampling=Sampling(temperature=1.0, seed=1)) != texts


def test_texts_outgrow_the_context_in_tokens_that_stand_for_text(
    decoder: Decoder, tokenizer: Tokenizer
) -> None:
    texts = write(decoder, tokenizer, max_tokens=100, num_texts=8)
    assert set("".join(texts)) <= set("abc é\n")
    assert max(map(len, texts)) > 8


def test_the_likeliest_token_draws_nothing(decoder: Decoder, tokenizer: Tokenizer) -> None:
    greedy = Sampling(temperature=0.0)
    assert len(set(write(decoder, tokenizer, sampling=greedy))) == 1


def test_a_text_ends_before_its_end_token(tokenizer: Tokenizer) -> None:
    a, b, eos = tokenizer.id_of("a"), tokenizer.id_of("b"), tokenizer.special.eos[0]
    assert a is not None
    assert b is not None
    model = Scripted(spec_of(tokenizer), [a, b, eos, a, a])
    assert write(model, tokenizer, "c", num_texts=1, sampling=Sampling()) == ["ab"]
    assert model.given == [[[tokenizer.id_of("c")]], [[a]], [[b]]]


def test_tokens_of_no_text_are_not_drawn(tokenizer: Tokenizer) -> None:
    assert tokenizer.special.pad is not None
    model = Scripted(spec_of(tokenizer), [tokenizer.special.pad] * 5)
    texts = write(model, tokenizer, "c", num_texts=1, max_tokens=5, sampling=Sampling(temperature=1.0))
    assert set(texts[0]) <= set("abc é\n")


def test_prompts_that_cannot_be_read_are_refused(decoder: Decoder, tokenizer: Tokenizer) -> None:
    with pytest.raises(UsageError, match=r"no token for\n  got: 'x', 'ü'"):
        write(decoder, tokenizer, "axbü")
    with pytest.raises(UsageError, match=r"longer than the model's context\n  got: 9 tokens\n.*at most 8"):
        write(decoder, tokenizer, "abcabcabc")
    with pytest.raises(UsageError, match="max_tokens: nothing would be written"):
        write(decoder, tokenizer, max_tokens=0)
    with pytest.raises(UsageError, match="holds no token\n  got: an empty text"):
        prompt_ids(tokenizer, "")


def test_a_text_from_nothing_goes_on_from_the_start_of_the_data(tokenizer: Tokenizer) -> None:
    a, eos = tokenizer.id_of("a"), tokenizer.special.eos[0]
    assert a is not None
    for start, expected in ((eos, eos), (a, a), (None, tokenizer.id_of("\n"))):
        model = Scripted(replace(spec_of(tokenizer), start_token=start), [a, eos])
        assert write(model, tokenizer, "", num_texts=1) == ["a"]
        assert model.given == [[[expected]], [[a]]]


def test_a_text_ends_before_what_stands_between_documents() -> None:
    pieces = train_tokenizer(["ab"], "wordpiece", vocabulary_size=8)
    a, sep = pieces.id_of("a"), pieces.special.sep
    assert a is not None
    assert sep is not None
    model = Scripted(replace(spec_of(pieces), start_token=sep), [a, sep])
    assert write(model, pieces, "", num_texts=1) == ["a"]


def test_texts_stand_below_each_other() -> None:
    assert text_sheet(["one\n", "two"]) == "--- 1\none\n\n--- 2\ntwo\n\n"
