"""The encoder: BERT's form, its loss beside a plain one, and its folder as transformers reads it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from creuset.data.spec import DataSpec
from creuset.data.tokenizer_training import train_tokenizer
from creuset.device import BatchGenerator
from creuset.errors import UsageError
from creuset.models.encoder import Encoder, EncoderConfig, transformer_config
from creuset.objectives.masked_tokens import choose_places, corrupt_places
from creuset.pretrained.folder import Pretrained, load_folder, save_folder

SPECIAL = (0, 1, 30)


def spec(context: int = 16, mask_token: int | None = 30) -> DataSpec:
    return DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=context,
        tokenizer="made up",
        tokenizer_size=31,
        mask_token=mask_token,
        special_tokens=SPECIAL,
        bytes_per_token=1.0,
    )


def small(**settings: object) -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(family="encoder", size="tiny", **settings)  # type: ignore[arg-type]
    encoder = Encoder(config, spec())
    for parameter in encoder.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return encoder.eval()


def blocks() -> dict[str, Tensor]:
    """Tokens with special ones among them, the last block with padding."""
    rows = torch.randint(31, (4, 17), generator=torch.Generator().manual_seed(0))
    rows[:, 3] = 1
    rows[3, 11:] = -1
    return {"tokens": rows[:, :-1].clamp_min(0), "targets": rows[:, 1:]}


def test_the_loss_is_a_mean_over_chosen_tokens_of_each_block() -> None:
    encoder, batch = small(mask_share=0.3), blocks()
    tokens = batch["tokens"]
    found = float(encoder.validation_loss(batch, BatchGenerator(5, size=4))["loss"].detach())
    draws = BatchGenerator(5, size=4)
    ordinary = torch.tensor([number not in SPECIAL for number in range(31)])
    there = torch.ones(4, 16, dtype=torch.bool)
    there[3, 11:] = False
    places = choose_places(ordinary[tokens] & there, draws.uniform(16), 0.3)
    hidden = corrupt_places(
        tokens,
        places,
        mask_token=30,
        random_tokens=torch.arange(31)[ordinary][draws.integers(28, 16)],
        draws=draws.uniform(16),
        ignored=-1,
    )
    total, weight = 0.0, 0
    for row in range(4):
        length = int(there[row].sum())
        logits = encoder.transformer(hidden.tokens[row : row + 1, :length])[0]
        nats = functional.cross_entropy(logits, tokens[row, :length], reduction="none")
        num_targets = int((batch["targets"][row] != -1).sum())
        total += num_targets * float(nats[places[row, :length]].mean().detach())
        weight += num_targets
    assert found == pytest.approx(total / weight, rel=1e-5)


def test_special_tokens_and_padding_are_never_hidden() -> None:
    encoder, batch = small(), blocks()
    padding = torch.ones(4, 16, dtype=torch.bool)
    padding[3, 11:] = False
    hidden = encoder.hide(batch["tokens"], padding, 1.0, BatchGenerator(0, size=4))
    assert torch.equal(hidden.targets != -1, padding & ~torch.isin(batch["tokens"], torch.tensor(SPECIAL)))


def test_hidden_tokens_follow_from_the_seed_and_the_row() -> None:
    encoder, tokens = small(), torch.randint(2, 30, (8, 16), generator=torch.Generator().manual_seed(0))
    whole = encoder.hide(tokens, None, 0.15, BatchGenerator(0, size=8)).targets
    part = encoder.hide(tokens[2:5], None, 0.15, BatchGenerator(0, size=8).slice(2, 5)).targets
    assert torch.equal(whole[2:5], part)
    assert not torch.equal(whole, encoder.hide(tokens, None, 0.15, BatchGenerator(1, size=8)).targets)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embed_dim": 10, "num_heads": 4}, r"num_heads must divide embed_dim \(10\)"),
        ({"embed_dim": 15, "num_heads": 5, "positions": "rotary"}, "heads of an odd width"),
    ],
)
def test_heads_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EncoderConfig(family="encoder", **settings)  # type: ignore[arg-type]


def test_a_tokenizer_of_special_tokens_alone_is_refused() -> None:
    config = EncoderConfig(family="encoder", size="tiny")
    alone = DataSpec(
        kind="corpus",
        shape=(),
        num_levels=0,
        context=4,
        tokenizer="made up",
        tokenizer_size=2,
        mask_token=1,
        special_tokens=(0, 1),
    )
    with pytest.raises(UsageError, match="encoder has no token to hide"):
        Encoder(config, alone)


def test_it_is_saved_as_a_folder_that_transformers_reads(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    encoder, tokenizer = small(), train_tokenizer(["abcdefghij klmnop"], "characters").with_mask()
    for name, parameter in encoder.named_parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=float(name.endswith("norm.weight")), std=0.2)
    folder = tmp_path / "saved"
    made = Pretrained(
        config=encoder.transformer.config,
        state=encoder.transformer.state_dict(),
        model_type="bert",
        tokenizer=tokenizer,
    )
    save_folder(folder, made)
    theirs = transformers.BertForMaskedLM.from_pretrained(folder).eval()
    tokens = torch.randint(31, (3, 16), generator=torch.Generator().manual_seed(0))
    padding = torch.arange(16) < torch.tensor([16, 9, 1])[:, None]
    with torch.no_grad():
        wanted = theirs(input_ids=tokens, attention_mask=padding.long()).logits[padding]
    places = torch.ones(3, 16, dtype=torch.bool) & padding
    found = encoder.fill(tokens, places, padding=padding)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    again = load_folder(folder)
    assert again.config == encoder.transformer.config
    assert again.tokenizer is not None
    assert again.tokenizer.special.mask == tokenizer.special.mask
    torch.testing.assert_close(again.model()(tokens, padding=padding)[padding], wanted, rtol=1e-4, atol=1e-4)


def test_the_defaults_are_bert_s_form() -> None:
    form = transformer_config(EncoderConfig(family="encoder"), spec())
    assert (form.norm_placement, form.embedding_norm, form.final_norm) == ("post", True, False)
    assert (form.head, form.tied_head, form.head_bias) == ("transformed", True, True)
