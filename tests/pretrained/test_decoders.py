"""Decoders against transformers: the same weights give the same logits, there and back."""

import json

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="compares with transformers, which is not installed")

from creuset.errors import CheckpointError, UsageError
from creuset.models.transformer import Transformer
from creuset.pretrained.decoders import config_from, theirs_config, to_ours, to_theirs
from small_decoders import DECODERS, ours_of, random_decoder, token_ids

every_decoder = pytest.mark.parametrize("name", DECODERS)


def assert_same_logits(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.abs().max() > 0.5
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@every_decoder
@torch.no_grad()
def test_logits_are_those_of_transformers(name: str) -> None:
    theirs = random_decoder(name)
    ours = ours_of(theirs)
    for length in (1, 2, 13):
        ids = token_ids(3, length)
        assert_same_logits(ours(ids), theirs(ids).logits)


@every_decoder
@torch.no_grad()
def test_padding_on_either_side_changes_no_token(name: str) -> None:
    theirs = random_decoder(name)
    ours = ours_of(theirs)
    ids = token_ids(3, 11)
    lengths = torch.tensor([11, 6, 1])
    for left in (False, True):
        places = torch.arange(11)
        padding = places >= 11 - lengths[:, None] if left else places < lengths[:, None]
        positions = (padding.long().cumsum(1) - 1).clamp(min=0)
        expected = theirs(ids, attention_mask=padding.long(), position_ids=positions).logits
        assert_same_logits(ours(ids, padding=padding)[padding], expected[padding])


@every_decoder
def test_gradients_are_those_of_transformers(name: str) -> None:
    theirs = random_decoder(name)
    ours = ours_of(theirs)
    ids = token_ids(2, 9)
    for model_logits in (ours(ids), theirs(ids).logits):
        model_logits.square().mean().backward()
    expected = {key: parameter.grad for key, parameter in theirs.named_parameters()}
    grads = {key: parameter.grad for key, parameter in ours.named_parameters()}
    assert all(grad is not None for grad in (*expected.values(), *grads.values()))
    converted = to_theirs(grads, ours.config)  # type: ignore[arg-type]
    assert converted.keys() == expected.keys()
    for key, grad in expected.items():
        torch.testing.assert_close(converted[key], grad, rtol=1e-3, atol=1e-5)


@every_decoder
def test_config_and_tensors_come_back(name: str) -> None:
    theirs = random_decoder(name)
    ours = ours_of(theirs)
    written = json.loads(json.dumps(theirs_config(ours.config)))
    again = config_from(written)
    state = ours.state_dict()
    tensors = to_theirs(state, ours.config)
    expected = dict(theirs.named_parameters())
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[key], expected[key]) for key in expected)
    back = to_ours(tensors, again)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], state[key]) for key in state)


@every_decoder
@torch.no_grad()
def test_transformers_reads_what_is_written(name: str) -> None:
    import transformers

    ours = ours_of(random_decoder(name))
    values = theirs_config(ours.config)
    config = transformers.AutoConfig.for_model(**values)
    model = getattr(transformers, values["architectures"][0])(config).eval()
    missing, unexpected = model.load_state_dict(to_theirs(ours.state_dict(), ours.config), strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    model.tie_weights()
    ids = token_ids(2, 13)
    assert_same_logits(ours(ids), model(ids).logits)


@every_decoder
@torch.no_grad()
def test_greedy_tokens_are_those_of_transformers(name: str) -> None:
    theirs = random_decoder(name)
    ours = ours_of(theirs)
    ids = token_ids(1, 5)
    expected = theirs.generate(ids, max_new_tokens=20, do_sample=False, pad_token_id=0)
    cache = ours.new_cache(1, 25)
    made, new = ids, ids
    for _ in range(20):
        new = ours(new, cache=cache)[:, -1:].argmax(-1)
        made = torch.cat([made, new], dim=1)
    assert torch.equal(made, expected)


def test_a_body_alone_and_a_tied_head_twice_are_read() -> None:
    theirs = random_decoder("gpt2")
    ours = ours_of(theirs)
    body = dict(theirs.transformer.state_dict().items())  # type: ignore[union-attr]
    body["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    for tensors in (body, dict(theirs.state_dict())):
        state = to_ours(tensors, ours.config)
        assert all(torch.equal(state[key], tensor) for key, tensor in ours.state_dict().items())


def test_missing_and_extra_tensors_are_named() -> None:
    theirs = random_decoder("qwen3")
    config = ours_of(theirs).config
    tensors = dict(theirs.state_dict())
    del tensors["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match=r"missing: model\.layers\.1\.mlp\.up_proj\.weight"):
        to_ours(tensors, config)
    tensors = {**theirs.state_dict(), "model.layers.9.mlp.up_proj.weight": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"not of this model: model\.layers\.9\.mlp\.up_proj\.weight"):
        to_ours(tensors, config)
    state = {key.replace("head", "tail"): tensor for key, tensor in ours_of(theirs).state_dict().items()}
    with pytest.raises(CheckpointError, match=r"missing: head\.weight; not of this model: tail\.weight"):
        to_theirs(state, config)


def test_many_missing_tensors_are_counted() -> None:
    config = ours_of(random_decoder("qwen3")).config
    with pytest.raises(CheckpointError, match=r"and 28 more"):
        to_ours({}, config)


def test_a_tied_head_that_differs_is_refused() -> None:
    theirs = random_decoder("qwen2")
    tensors = {**theirs.state_dict(), "lm_head.weight": torch.zeros(61, 32)}
    with pytest.raises(CheckpointError, match=r'"lm_head.weight" is tied to "model.embed_tokens.weight"'):
        to_ours(tensors, ours_of(theirs).config)


def test_a_tensor_that_cannot_be_taken_apart_is_refused() -> None:
    theirs = random_decoder("gpt2")
    tensors = {**theirs.state_dict(), "transformer.h.0.attn.c_attn.weight": torch.zeros(32, 95)}
    with pytest.raises(CheckpointError, match=r'"transformer.h.0.attn.c_attn.weight" has another shape'):
        to_ours(tensors, ours_of(theirs).config)


def test_a_tensor_of_another_shape_is_refused() -> None:
    theirs = random_decoder("qwen3")
    config = ours_of(theirs).config
    tensors = {**theirs.state_dict(), "model.norm.weight": torch.zeros(33)}
    with pytest.raises(CheckpointError, match=r"decoder\.norm\.weight.*33"):
        Transformer.from_weights(config, to_ours(tensors, config))


LLAMA_JSON = {
    "model_type": "llama",
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
GEMMA_JSON = {**LLAMA_JSON, "model_type": "gemma3_text", "head_dim": 8}
GPT2_JSON = {
    **{"model_type": "gpt2", "vocab_size": 61, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**LLAMA_JSON, "model_type": "mamba"}, 'no model of type "mamba"'),
        ({**LLAMA_JSON, "model_type": "gemma3"}, 'did you mean "gemma3_text"'),
        ({}, 'no model of type "None"'),
        ({**LLAMA_JSON, "hidden_act": "mish"}, r'"hidden_act" is not supported[^$]*mish[^$]*gelu'),
        ({**LLAMA_JSON, "hidden_size": "32"}, '"hidden_size" is not supported'),
        ({**LLAMA_JSON, "hidden_size": True}, '"hidden_size" is not supported'),
        ({**LLAMA_JSON, "vocab_size": None}, '"vocab_size" is not supported'),
        ({**LLAMA_JSON, "num_key_value_heads": 3}, r"TransformerConfig\.num_kv_heads"),
        ({**LLAMA_JSON, "num_attention_heads": 0}, r"TransformerConfig\.num_heads"),
        ({**LLAMA_JSON, "attention_bias": "q"}, '"attention_bias" is not supported'),
        ({**LLAMA_JSON, "atention_bias": True}, 'not known here: "atention_bias"; did you mean "attention'),
        ({**LLAMA_JSON, "quantization_config": {"bits": 4}}, 'not known here: "quantization_config"'),
        ({**LLAMA_JSON, "pruned_heads": {"0": [1]}}, '"pruned_heads" is not supported'),
        ({**LLAMA_JSON, "partial_rotary_factor": 0.5}, '"partial_rotary_factor" is not supported'),
        ({**LLAMA_JSON, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, '"type" is not supported'),
        ({**LLAMA_JSON, "rope_scaling": {"rope_type": "longrope"}}, '"rope_type" is not supported'),
        ({**LLAMA_JSON, "rope_scaling": {"type": "linear"}}, '"factor" is not supported'),
        (
            {**LLAMA_JSON, "rope_scaling": {"type": "linear", "factor": 2.0, "beta_fast": 3.0}},
            'rope_scaling: a setting that is not known here: "beta_fast"',
        ),
        ({**LLAMA_JSON, "rope_scaling": "linear"}, '"rope_scaling" is not supported'),
        (
            {**LLAMA_JSON, "rope_scaling": {"type": "linear", "factor": 2}, "rope_parameters": {}},
            '"rope_scaling" is not supported',
        ),
        ({**GEMMA_JSON, "attn_logit_softcapping": 50.0}, '"attn_logit_softcapping" is not supported'),
        ({**GEMMA_JSON, "use_bidirectional_attention": True}, '"use_bidirectional_attention" is not'),
        ({**GEMMA_JSON, "layer_types": ["full_attention"]}, '"layer_types" is not supported'),
        ({**GEMMA_JSON, "layer_types": ["full_attention", "linear"]}, '"layer_types" is not supported'),
        (
            {**GEMMA_JSON, "rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
            '"rope_type" is not supported',
        ),
        ({**GPT2_JSON, "scale_attn_by_inverse_layer_idx": True}, '"scale_attn_by_inverse_layer_idx" is not'),
        ({**GPT2_JSON, "embd_pdrop": 0.3}, '"embd_pdrop" is not supported'),
        ({**GPT2_JSON, "add_cross_attention": True}, '"add_cross_attention" is not supported'),
    ],
)
def test_settings_that_are_not_understood_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        config_from(values)


def test_smollm2_s_settings_are_understood() -> None:
    extra = {"is_llama_config": True, "rope_interleaved": False, "transformers.js_config": {"dtype": "q4"}}
    config = config_from({**LLAMA_JSON, **extra, "rope_theta": 100000, "rope_scaling": None})
    assert config.rope_theta == 100_000
    assert config.rope_scaling is None


def test_a_form_that_no_family_has_is_not_written() -> None:
    from dataclasses import replace

    config = config_from(LLAMA_JSON)
    with pytest.raises(UsageError, match=r"norm_placement='post'[^$]*\"llama\" comes nearest"):
        theirs_config(replace(config, norm_placement="post"))
    with pytest.raises(UsageError, match=r'"max_position_embeddings" is not supported'):
        theirs_config(replace(config, positions="none", rope_theta=None, context_length=None))
