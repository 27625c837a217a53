"""What a model puts into masks: the likeliest tokens of each place, for prompts and held-out passages."""

import pytest
import torch

from creuset.data.corpus_split import read_stream
from creuset.data.spec import DataSpec
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_training import train_tokenizer
from creuset.errors import UsageError
from creuset.generation.fillings import Filling, fill_masks, held_out_passages, passage_sheet, quoted
from creuset.models.encoder import Encoder, EncoderConfig

TEXT = "the cat sat on the mat and the dog lay on the rug\n" * 20
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([TEXT], "byte_bpe", vocabulary_size=280).with_mask()


@pytest.fixture(scope="module")
def encoder(tokenizer: Tokenizer) -> Encoder:
    spec = DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=12,
        tokenizer=tokenizer.fingerprint,
        tokenizer_size=tokenizer.vocab_size,
        mask_token=tokenizer.special.mask,
        special_tokens=tuple(tokenizer.special_ids),
        bytes_per_token=1.0,
    )
    torch.manual_seed(0)
    return Encoder(EncoderConfig(family="encoder", size="tiny"), spec).eval()


def fill(encoder: Encoder, tokenizer: Tokenizer, prompt: str, num: int = 5) -> tuple[Filling, ...]:
    return fill_masks(encoder, tokenizer, prompt, num=num, device=CPU)


def test_guesses_are_the_model_s_probabilities(encoder: Encoder, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the [MASK] sat[MASK]", add_special=False)
    tokens = torch.tensor([ids])
    logits = encoder.transformer(tokens)[0].detach()
    places = [place for place, token in enumerate(ids) if token == tokenizer.special.mask]
    assert len(places) == 2
    fillings = fill(encoder, tokenizer, "the [MASK] sat[MASK]")
    assert len(fillings) == 2
    for place, filling in zip(places, fillings, strict=True):
        probabilities = logits[place].softmax(-1)
        order = [n for n in probabilities.argsort(descending=True).tolist() if n not in tokenizer.special_ids]
        assert [guess.token for guess in filling.guesses] == [tokenizer.readable(n) for n in order[:5]]
        values = [guess.probability for guess in filling.guesses]
        assert values == pytest.approx(probabilities[order[:5]].tolist(), rel=1e-5)
        assert filling.true is None


def test_no_guess_is_a_special_token(encoder: Encoder, tokenizer: Tokenizer) -> None:
    (filling,) = fill(encoder, tokenizer, "the [MASK]", num=10_000)
    special = {tokenizer.token(number) for number in tokenizer.special_ids}
    assert len(filling.guesses) == tokenizer.vocab_size - len(special)
    assert not special & {guess.token for guess in filling.guesses}


def test_another_mask_token_is_written_either_way(encoder: Encoder) -> None:
    own = train_tokenizer(
        [TEXT], "characters", special={"unk": "<unk>", "mask": "<mask>"}, vocabulary_size=None
    )
    spec = DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=12,
        tokenizer=own.fingerprint,
        tokenizer_size=own.vocab_size,
        mask_token=own.special.mask,
        special_tokens=tuple(own.special_ids),
    )
    model = Encoder(EncoderConfig(family="encoder", size="tiny"), spec).eval()
    assert fill(model, own, "the [MASK]at") == fill(model, own, "the <mask>at")
    with pytest.raises(UsageError, match=r"no token for\n  got: 'z'"):
        fill(model, own, "z[MASK]")


def test_prompts_that_cannot_be_filled_are_refused(encoder: Encoder, tokenizer: Tokenizer) -> None:
    with pytest.raises(
        UsageError, match=r"no mask, and this model fills masks\n  got: 'the cat'\n.*\[MASK\]"
    ):
        fill(encoder, tokenizer, "the cat")
    with pytest.raises(UsageError, match=r"longer than the model's context\n  got: 21 tokens\n.*at most 12"):
        fill(encoder, tokenizer, "[MASK]" + "x" * 20)
    with pytest.raises(UsageError, match="num: no mask would be filled"):
        fill(encoder, tokenizer, "[MASK]", num=0)


def test_passages_say_what_was_hidden(encoder: Encoder, tokenizer: Tokenizer) -> None:
    stream = read_stream([("text", TEXT)], tokenizer, context=12, separator=None)

    def passages(seed: int = 0) -> list[str]:
        found = held_out_passages(encoder, tokenizer, stream, num_passages=3, num=2, seed=seed, device=CPU)
        for passage in found:
            restored = passage.text
            for number, filling in enumerate(passage.fillings, 1):
                assert filling.true is not None
                assert len(filling.guesses) == 2
                restored = restored.replace(f"[{number}]", filling.true)
            assert restored in TEXT
            assert passage.fillings
        return [passage_sheet([passage]) for passage in found]

    sheets = passages()
    assert len(sheets) == 3
    assert sheets == passages()
    assert sheets != passages(seed=1)
    assert sheets[0].startswith("--- 1\n")
    assert "  1. " in sheets[0]


def test_a_short_text_is_one_passage(encoder: Encoder, tokenizer: Tokenizer) -> None:
    stream = read_stream([("text", "the cat")], tokenizer, context=12, separator=None)
    found = held_out_passages(encoder, tokenizer, stream, num_passages=3, num=1, seed=0, device=CPU)
    assert len(found) == 1


def test_spaces_and_line_ends_of_a_token_are_seen() -> None:
    assert quoted(" été") == '" été"'
    assert quoted("\n") == '"\\n"'
