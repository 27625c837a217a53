"""Folders of models: what is read is written so that transformers reads it, and what is wrong is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="compares with transformers, which is not installed")

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.errors import BlockedError, CheckpointError, DataError, NotFoundError, UsageError
from creuset.pretrained.folder import Pretrained, load_folder, save_folder
from creuset.pretrained.safetensors_file import read_weights
from small_decoders import DECODERS, random_decoder, token_ids
from small_encoders import ENCODER_DECODERS, ENCODERS, random_ids, random_model, saved
from small_tokenizers import byte_level


def outputs(folder: Path, name: str) -> Tensor:
    """What transformers computes from a folder: logits, or states where there is no head."""
    import transformers

    classes = json.loads((folder / "config.json").read_text())["architectures"]
    model, report = getattr(transformers, classes[0]).from_pretrained(folder, output_loading_info=True)
    assert set(report["missing_keys"]) <= {"pooler.dense.weight", "pooler.dense.bias"}
    assert all("pooler" in key for key in report["unexpected_keys"])
    with torch.no_grad():
        if name in ENCODER_DECODERS:
            found = model.eval()(input_ids=random_ids(2, 9), decoder_input_ids=random_ids(2, 5))
        else:
            found = model.eval()(input_ids=random_ids(2, 9))
    result: Tensor = found[0] if "logits" not in found else found.logits
    return result


@pytest.mark.parametrize("name", [*ENCODERS, *ENCODER_DECODERS])
def test_transformers_reads_what_is_written(name: str, tmp_path: Path) -> None:
    source, target = tmp_path / "theirs", tmp_path / "ours"
    model = saved(name, source)
    found = load_folder(source)
    save_folder(target, found)
    again = load_folder(target)
    assert (again.config, again.model_type, again.generation) == (
        found.config,
        found.model_type,
        found.generation,
    )
    assert again.state.keys() == found.state.keys()
    assert all(torch.equal(again.state[key], tensor) for key, tensor in found.state.items())
    with torch.no_grad():
        if name in ENCODER_DECODERS:
            expected = model(input_ids=random_ids(2, 9), decoder_input_ids=random_ids(2, 5)).logits
        else:
            result = model(input_ids=random_ids(2, 9))
            expected = next(
                result[key] for key in ("logits", "prediction_logits", "last_hidden_state") if key in result
            )
    torch.testing.assert_close(outputs(target, name), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_go_through_a_folder_too(name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    theirs = random_decoder(name)
    theirs.save_pretrained(tmp_path / "theirs")  # type: ignore[operator]
    found = load_folder(tmp_path / "theirs")
    save_folder(tmp_path / "ours", found)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
    assert again.config.model_type == theirs.config.model_type  # type: ignore[union-attr]
    ids = token_ids(2, 13)
    with torch.no_grad():
        expected = theirs(ids).logits
        torch.testing.assert_close(again(ids).logits, expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(found.model()(ids), expected, rtol=0, atol=1e-4)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A folder with a small BERT."""
    saved("bert masked", tmp_path / "bert")
    return tmp_path / "bert"


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    """A folder with a small Llama."""
    random_decoder("llama, one key-value head, tied").save_pretrained(tmp_path / "llama")  # type: ignore[operator]
    return tmp_path / "llama"


def change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_shards_are_written_and_read(bert: Path, tmp_path: Path) -> None:
    found = load_folder(bert)
    save_folder(tmp_path / "shards", found, max_shard_bytes=4_000)
    assert len(list((tmp_path / "shards").glob("model-*-of-*.safetensors"))) > 2
    again = load_folder(tmp_path / "shards")
    assert all(torch.equal(again.state[key], tensor) for key, tensor in found.state.items())
    assert outputs(tmp_path / "shards", "bert masked").shape == (2, 9, 61)


def test_a_tied_head_is_written_once(decoder: Path, tmp_path: Path) -> None:
    save_folder(tmp_path / "again", load_folder(decoder))
    weights = read_weights(tmp_path / "again")
    assert "lm_head.weight" not in weights.tensors
    assert weights.metadata == {"format": "pt"}


@pytest.mark.parametrize("word", ["dtype", "torch_dtype"])
def test_the_number_format_of_the_configuration_is_taken(word: str, bert: Path) -> None:
    values = json.loads((bert / "config.json").read_text())
    del values["dtype"]
    (bert / "config.json").write_text(json.dumps(values))
    assert {tensor.dtype for tensor in load_folder(bert).state.values()} == {torch.float32}
    change(bert, **{word: "bfloat16"})
    assert {tensor.dtype for tensor in load_folder(bert).state.values()} == {torch.bfloat16}
    asked = load_folder(bert, dtype=torch.float16).state
    assert {tensor.dtype for tensor in asked.values()} == {torch.float16}


def test_the_number_format_is_written(bert: Path, tmp_path: Path) -> None:
    save_folder(tmp_path / "half", load_folder(bert, dtype=torch.bfloat16))
    assert json.loads((tmp_path / "half" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert load_folder(tmp_path / "half").state["token_embedding.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize(("value", "ids"), [(7, (7,)), ([7, 9], (7, 9)), (None, ())])
def test_end_of_sequence_may_be_an_id_or_several(value: object, ids: tuple[int, ...], decoder: Path) -> None:
    (decoder / "generation_config.json").write_text(json.dumps({"eos_token_id": value, "temperature": 0.5}))
    found = load_folder(decoder)
    assert found.eos_ids == ids
    assert found.generation["temperature"] == 0.5


@pytest.mark.parametrize(
    ("value", "message"),
    [(61, r"got: 61[^$]*expected: 0 to 60"), (-1, "no token"), ("</s>", "no id"), ([1.0], "no id")],
)
def test_an_end_of_sequence_that_is_no_id_is_refused(value: object, message: str, decoder: Path) -> None:
    (decoder / "generation_config.json").write_text(json.dumps({"eos_token_id": value}))
    with pytest.raises(DataError, match=message):
        load_folder(decoder)


def test_older_models_have_ids_in_the_configuration(decoder: Path) -> None:
    change(decoder, eos_token_id=[5, 6], bos_token_id=4)
    (decoder / "generation_config.json").unlink()
    found = load_folder(decoder)
    assert found.eos_ids == (5, 6)
    assert found.generation == {"eos_token_id": [5, 6], "bos_token_id": 4}


def test_tokenizer_and_template_come_along(decoder: Path, tmp_path: Path) -> None:
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    (decoder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    tokenizer = Tokenizer(byte_level())
    found = load_folder(decoder)
    assert found.tokenizer is None
    assert found.chat_template is not None
    with_tokenizer = replace(
        found,
        config=replace(found.config, vocab_size=tokenizer.vocab_size),
        state={**found.state, "token_embedding.weight": torch.zeros(tokenizer.vocab_size, 32)},
        tokenizer=tokenizer,
        chat_template=ChatTemplate(template),
    )
    save_folder(tmp_path / "again", with_tokenizer)
    again = load_folder(tmp_path / "again")
    assert again.tokenizer is not None
    assert again.tokenizer.fingerprint == tokenizer.fingerprint
    assert again.chat_template is not None
    assert again.chat_template.source == template
    assert "chat_template" not in json.loads((tmp_path / "again" / "tokenizer_config.json").read_text())


def test_a_tokenizer_with_more_ids_than_rows_is_refused(decoder: Path) -> None:
    Tokenizer(byte_level()).save(decoder)
    with pytest.raises(DataError, match=r"does not fit the weights[^$]*below 61"):
        load_folder(decoder)


def test_missing_and_extra_tensors_are_named(bert: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = bert / "model.safetensors"
    tensors = load_file(path)
    moved = tensors.pop("bert.encoder.layer.1.output.dense.weight")
    save_file({**tensors, "bert.encoder.layer.7.output.dense.weight": moved}, path)
    with pytest.raises(
        CheckpointError,
        match=r"missing: bert\.encoder\.layer\.1\.[^$]*not of this model: bert\.encoder\.layer\.7",
    ):
        load_folder(bert)


def test_a_tensor_of_another_shape_is_named(bert: Path) -> None:
    change(bert, vocab_size=62)
    with pytest.raises(CheckpointError, match=r"2 tensors of another shape[^$]*\(61, 24\), not \(62, 24\)"):
        load_folder(bert)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "tf_model.h5", "weights.pt"])
def test_pickled_weights_are_refused(name: str, bert: Path) -> None:
    (bert / "model.safetensors").rename(bert / name)
    with pytest.raises(BlockedError, match=rf"{name}: weights in pickle[^$]*save_pretrained"):
        load_folder(bert)


def test_folders_without_a_model_are_refused(tmp_path: Path, bert: Path) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match=r"no config\.json"):
        load_folder(tmp_path)
    (bert / "model.safetensors").unlink()
    with pytest.raises(NotFoundError, match="no weights"):
        load_folder(bert)


@pytest.mark.parametrize("value", ["float8_e4m3fn", 16])
def test_another_number_format_is_refused(value: object, bert: Path) -> None:
    change(bert, dtype=value)
    with pytest.raises(UsageError, match=r"number format[^$]*float32, bfloat16, float16"):
        load_folder(bert)


def test_an_unknown_family_is_refused(bert: Path) -> None:
    change(bert, model_type="bertt")
    with pytest.raises(UsageError, match=r'no model of type "bertt"[^$]*did you mean "bert"'):
        load_folder(bert)


def test_nothing_is_overwritten(bert: Path) -> None:
    found = load_folder(bert)
    with pytest.raises(UsageError, match="something at this place already"):
        save_folder(bert, found)


def test_a_family_that_cannot_say_it_is_refused(bert: Path, tmp_path: Path) -> None:
    found = load_folder(bert)
    with pytest.raises(UsageError, match=r'"distilbert" comes nearest'):
        save_folder(tmp_path / "other", found, model_type="distilbert")
    with pytest.raises(UsageError, match='no model of type "brt" can be written'):
        save_folder(tmp_path / "other", found, model_type="brt")
    wide = replace(found.config, head_dim=12)
    with pytest.raises(UsageError, match=r"head_dim=12[^$]*\"bert\" comes nearest"):
        save_folder(tmp_path / "other", replace(found, config=wide))
    assert not (tmp_path / "other").exists()


def test_tensors_that_are_not_the_model_s_are_not_written(bert: Path, tmp_path: Path) -> None:
    found = load_folder(bert)
    state = {name: tensor for name, tensor in found.state.items() if name != "head.bias"}
    with pytest.raises(CheckpointError, match=r"missing: head\.bias"):
        save_folder(tmp_path / "other", replace(found, state=state))
    assert not list(tmp_path.glob("*other*"))


def test_an_own_model_finds_the_first_family_that_fits(tmp_path: Path) -> None:
    model = random_model("distilbert")
    model.save_pretrained(tmp_path / "distilbert")  # type: ignore[operator]
    found = load_folder(tmp_path / "distilbert")
    save_folder(tmp_path / "again", Pretrained(config=found.config, state=found.state, model_type=""))
    assert load_folder(tmp_path / "again").model_type == "distilbert"
