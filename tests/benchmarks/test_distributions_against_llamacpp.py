"""How distributions are compared with llama.cpp's, and the file of 32 bits that both read."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from benchmark_programs import program

distributions = program("distributions_against_llamacpp")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_the_divergence_is_that_of_its_formula_and_never_larger_over_fewer_tokens() -> None:
    generator = np.random.default_rng(0)
    ours, theirs = (log_softmax(generator.normal(size=(5, 40))) for _ in range(2))
    order = np.argsort(-theirs, axis=1)
    told = np.take_along_axis(theirs, order, axis=1)
    whole = distributions.agreement(ours.astype(np.float32), order, told)
    np.testing.assert_allclose(whole.kl_nats, (np.exp(ours) * (ours - theirs)).sum(1), atol=1e-5)
    np.testing.assert_array_equal(whole.same_top, ours.argmax(1) == theirs.argmax(1))
    assert whole.left_out.max() < 1e-6
    fewer = distributions.agreement(ours.astype(np.float32), order[:, :10], told[:, :10])
    assert (fewer.kl_nats > 0).all()
    assert (fewer.kl_nats <= whole.kl_nats).all()
    rest = 1 - np.exp(told[:, :10]).sum(1)
    assert (fewer.left_out >= rest - 1e-9).all()


def test_what_is_promised_is_checked() -> None:
    def found(same: int, nats: float, more: float) -> object:
        return distributions.Agreement(
            same_top=np.arange(1000) < same,
            kl_nats=np.full(1000, nats),
            left_out=np.zeros(1000),
            coarse_nats=np.zeros(2),
            whole_nats=np.full(2, more),
        )

    assert distributions.row_of("F32", found(995, 1.0, 0.0))["holds"]
    assert not distributions.row_of("F32", found(994, 0.0, 0.0))["holds"]
    assert distributions.row_of("as it is", found(960, 0.009, 0.0005))["holds"]
    for wrong in (found(959, 0.0, 0.0), found(1000, 0.011, 0.0), found(1000, 0.009, 0.002)):
        assert not distributions.row_of("as it is", wrong)["holds"]


def test_the_file_of_32_bits_has_the_same_numbers_and_metadata(tmp_path: Path) -> None:
    source, target = tmp_path / "q.gguf", tmp_path / "f32.gguf"
    writer = gguf.GGUFWriter(source, "llama")
    writer.add_context_length(64)
    writer.add_rope_freq_base(100_000.0)
    writer.add_token_list(["a", "é", "<|end|>"])
    writer.add_token_types([1, 1, 3])
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages }}")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    numbers = np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)
    blocks = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("w", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("n", numbers[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    distributions.write_f32(source, target)
    before, after = gguf.GGUFReader(source), gguf.GGUFReader(target)
    assert before.fields.keys() == after.fields.keys()
    for name, entry in before.fields.items():
        if not name.startswith("GGUF.") and name != "general.file_type":
            assert after.fields[name].contents() == entry.contents(), name
            assert after.fields[name].types == entry.types, name
    tensors = {tensor.name: tensor for tensor in after.tensors}
    assert {tensor.tensor_type.name for tensor in after.tensors} == {"F32"}
    expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.Q8_0)
    np.testing.assert_array_equal(tensors["w"].data, expected)
    np.testing.assert_array_equal(tensors["n"].data, numbers[0])


def test_pieces_are_of_one_length_and_have_so_many_places() -> None:
    class Words:
        def encode(self, text: str) -> list[int]:
            return list(range(len(text)))

    class Model:
        tokenizer = Words()
        config = type("Config", (), {"context_length": 50})()

    pieces = distributions.pieces_of("x" * 200, Model(), 3, 31)
    assert sum(len(ids) - 8 for ids in pieces) == 31
    assert pieces[0][0] == 0
    assert all(ids == list(range(ids[0], ids[0] + len(ids))) for ids in pieces)
    with pytest.raises(SystemExit, match="a text of 20 tokens"):
        distributions.pieces_of("x" * 20, Model(), 3, 31)
