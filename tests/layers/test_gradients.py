"""The gradient of every layer, by its inputs and by its weights, against finite differences in float64."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import creuset.layers
from creuset.device import BatchGenerator
from creuset.layers.attention import AttentionConfig, MultiHeadAttention
from creuset.layers.convolution import ConvBlock, ConvDecoder, ConvEncoder
from creuset.layers.critic import Critic
from creuset.layers.dropout import Dropout
from creuset.layers.encoder import PictureDecoder, PictureEncoder
from creuset.layers.feedforward import MLP
from creuset.layers.gated_convolution import GatedStacks, StackConfig
from creuset.layers.gated_feedforward import FeedForward
from creuset.layers.generator import Generator
from creuset.layers.interpolation import interpolate_codes
from creuset.layers.masked_convolution import HorizontalConvolution, VerticalConvolution
from creuset.layers.masks import AttentionMask
from creuset.layers.minibatch_discrimination import MinibatchDiscrimination
from creuset.layers.norm import LayerNorm, NormConfig, RMSNorm
from creuset.layers.packed_linear import PackedFeedForward, PackedLinear
from creuset.layers.positions import RelativeBias, Rotary, RotaryScaling, rotate
from creuset.layers.prompt_encoder import PromptEncoder
from creuset.layers.recurrent import Recurrent
from creuset.layers.residual_mlp import ResidualMLP
from creuset.layers.time_embedding import TimeEmbedding
from creuset.layers.transformer_block import BlockConfig, Memory, TransformerBlock
from creuset.layers.unet import ResidualBlock, UNet, UNetConfig
from creuset.layers.vector_quantiser import VectorQuantiser

Call = Callable[..., Tensor]
Case = tuple[nn.Module, Call, tuple[tuple[int, ...], ...]]
"""A layer, how it is called with some inputs, and the shapes of these."""

ATTENTION = AttentionConfig(embed_dim=10, num_heads=4, num_kv_heads=2, head_dim=6)
LAYER, RMS = NormConfig(kind="layer", eps=1e-5, bias=True), NormConfig(kind="rms", eps=1e-5)
PLUS_ONE = NormConfig(kind="rms", eps=1e-5, plus_one=True)
BLOCK = BlockConfig(
    attention=AttentionConfig(embed_dim=6, num_heads=2, num_kv_heads=1, head_dim=4),
    cross_attention=False,
    feedforward_dim=5,
    activation="gelu",
    gated=True,
    feedforward_bias=False,
    norm=LAYER,
    norm_placement="pre",
    dropout=0.0,
)
WITHOUT_GRADIENTS = {PackedLinear, PackedFeedForward}
"""Layers for reading alone, which say so."""
STRAIGHT_THROUGH = {VectorQuantiser}
"""Layers whose gradient is not that of what they compute; tests/layers/test_vector_quantiser.py has it."""


def attention(mask: AttentionMask, scaling: RotaryScaling | None = None, **settings: Any) -> Case:
    rotation = tuple(part.double() for part in Rotary(6, 10.0, scaling)(torch.arange(4)[None]))

    def call(layer: Any, x: Tensor) -> Tensor:
        attended: Tensor = layer(x, mask, rotation=rotation)
        return attended

    return MultiHeadAttention(replace(ATTENTION, **settings)), call, ((2, 4, 10),)


def cross_attention() -> Case:
    padding = torch.tensor([[True] * 5, [True, True, False, False, False]])
    mask = AttentionMask(tensor=padding[:, None, None])

    def call(layer: Any, x: Tensor, memory: Tensor) -> Tensor:
        attended: Tensor = layer.cross(x, layer.keys_values(memory), mask)
        return attended

    return MultiHeadAttention(replace(ATTENTION, qk_norm=RMS)), call, ((2, 3, 10), (2, 5, 10))


def attention_with_weights(dropout: float) -> Case:
    """By the route that makes the weights, as dropout and pictures of attention need them."""

    def call(layer: Any, x: Tensor) -> Tensor:
        draws = BatchGenerator(0, size=2) if dropout else None
        attended: Tensor = layer(x, AttentionMask(causal=True), generator=draws, record=[])
        return attended

    return MultiHeadAttention(replace(ATTENTION, dropout=dropout)), call, ((2, 4, 10),)


class BiasedAttention(nn.Module):
    """Attention with learned biases by distance, which reach it through the mask."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = RelativeBias(6, 4, 4, bidirectional=True)
        self.attention = MultiHeadAttention(ATTENTION)

    def forward(self, x: Tensor) -> Tensor:
        biases = self.bias(torch.arange(x.shape[1])[None], x.shape[1])
        attended: Tensor = self.attention(x, AttentionMask(tensor=biases))
        return attended


def block(**settings: Any) -> Case:
    config = replace(BLOCK, **settings)

    def call(layer: Any, x: Tensor, memory: Tensor) -> Tensor:
        read = Memory(states=memory, mask=AttentionMask()) if config.cross_attention else None
        draws = BatchGenerator(0, size=1) if config.dropout else None
        out: Tensor = layer(x, AttentionMask(causal=True), memory=read, generator=draws)
        return out if config.cross_attention else out + memory.sum()

    return TransformerBlock(config), call, ((1, 3, 6), (1, 2, 6))


def plain(layer: nn.Module, *shape: int) -> Case:
    return layer, lambda layer, x: layer(x), (shape,)


def recurrent(cell: Any, dropout: float) -> Case:
    def call(layer: Any, x: Tensor) -> Tensor:
        states: Tensor = layer(x, BatchGenerator(0, size=2) if dropout else None)
        return states

    return Recurrent(cell, 3, 4, 2, dropout), call, ((2, 5, 3),)


def gated(num_colours: int, num_classes: int, dropout: float) -> Case:
    config = StackConfig(
        num_colours=num_colours,
        channels=3,
        num_layers=2,
        kernel_size=3,
        outputs_per_colour=2,
        num_classes=num_classes,
        dropout=dropout,
    )
    labels = torch.arange(2) % num_classes if num_classes else None

    def call(layer: Any, x: Tensor) -> Tensor:
        numbers: Tensor = layer(x, labels, BatchGenerator(0, size=2) if dropout else None)
        return numbers

    return GatedStacks(config), call, ((2, num_colours, 4, 3),)


def unet(patch_size: int, size: tuple[int, int]) -> Case:
    form = UNetConfig(channels=(4, 8), num_blocks=1, patch_size=patch_size, attention=True, embed_dim=3)
    layer = UNet((1, *size), form)
    return layer, lambda layer, x, vector: layer(x, vector), ((1, 1, *size), (1, 3))


def of_times() -> Case:
    """Times themselves are data: their sinusoids are made in float32."""
    times = torch.tensor([0.1, 0.7], dtype=torch.float64)
    return TimeEmbedding(4), lambda layer, x: layer(times) + x, ((2, 4),)


def of_prompts() -> Case:
    texts = torch.tensor([[5, 9, 0, 0], [7, 7, 3, 120]])
    return PromptEncoder(4, 4, 2), lambda layer, x: layer(texts) + x, ((2, 4),)


CASES: dict[str, Callable[[], Case]] = {
    "attention, one key-value head": lambda: attention(AttentionMask(), num_kv_heads=1),
    "attention, all key-value heads, causal": lambda: attention(AttentionMask(causal=True), num_kv_heads=4),
    "attention, window, biases": lambda: attention(
        AttentionMask(causal=True, window=2), qkv_bias=True, output_bias=True
    ),
    "attention, packed documents, own scale": lambda: attention(
        AttentionMask(causal=True, lengths=(1, 3, 4)), scale=0.7
    ),
    "attention, normalised by layer": lambda: attention(AttentionMask(), qk_norm=LAYER),
    "attention, normalised by rms": lambda: attention(AttentionMask(causal=True), qk_norm=RMS),
    "attention, normalised by rms and one": lambda: attention(AttentionMask(), qk_norm=PLUS_ONE),
    "attention, stretched rotation": lambda: attention(
        AttentionMask(causal=True), RotaryScaling(kind="yarn", factor=4.0, original_context_length=8)
    ),
    "attention to an encoder's output": cross_attention,
    "attention with its weights": lambda: attention_with_weights(0.0),
    "attention with dropout": lambda: attention_with_weights(0.4),
    "attention with relative biases": lambda: plain(BiasedAttention(), 2, 4, 10),
    **{
        f"block, {placement}, {norm.kind}{' to an encoder' * cross}": (
            lambda placement=placement, norm=norm, cross=cross: block(
                norm_placement=placement, norm=norm, cross_attention=cross
            )
        )
        for placement in ("pre", "post", "sandwich")
        for norm, cross in ((LAYER, True), (RMS, False))
    },
    "block with dropout": lambda: block(dropout=0.3, norm=PLUS_ONE),
    **{
        f"feed-forward, {name}{', gated' * gated}": (
            lambda name=name, gated=gated: plain(
                FeedForward(3, 4, activation=name, gated=gated, bias=True), 2, 3
            )
        )
        for name in ("relu", "gelu", "gelu_tanh", "silu")
        for gated in (False, True)
    },
    "layer norm": lambda: plain(LayerNorm(6, eps=1e-5), 2, 6),
    "layer norm without bias": lambda: plain(LayerNorm(6, eps=1e-5, bias=False), 2, 6),
    "rms norm": lambda: plain(RMSNorm(6, eps=1e-5), 2, 6),
    "rms norm, one and weight": lambda: plain(RMSNorm(6, eps=1e-5, plus_one=True), 2, 6),
    "lstm": lambda: recurrent("lstm", 0.0),
    "gru": lambda: recurrent("gru", 0.0),
    "lstm with dropout": lambda: recurrent("lstm", 0.4),
    "dropout": lambda: (Dropout(0.4), lambda layer, x: layer(x, BatchGenerator(0, size=3)), ((3, 5),)),
    "dense": lambda: plain(MLP([3, 5, 2], "tanh"), 2, 3),
    "convolution": lambda: plain(ConvBlock(2, 4, stride=2, activation="silu"), 1, 2, 5, 4),
    "convolution stages": lambda: plain(ConvEncoder(1, [4, 4], "gelu"), 1, 1, 6, 5),
    "convolution stages back": lambda: plain(ConvDecoder([4, 4], 1, (6, 5), "gelu"), 1, 4, 2, 2),
    "generator": lambda: plain(Generator(3, (1, 4, 4), [5], [4], norm="group", activation="silu"), 2, 3),
    "critic": lambda: plain(Critic((1, 4, 4), [5], [4], num_kernels=2, group=2), 4, 1, 4, 4),
    "critic with spectral norm": lambda: plain(Critic((1, 4, 4), [5], [4], spectral=True), 4, 1, 4, 4),
    "critic of packs": lambda: plain(Critic((2,), [5], [], pack=2), 4, 2),
    **{
        f"{kind.__name__}, mask {mask}": (lambda kind=kind, mask=mask: plain(kind(2, 4, 3, mask), 1, 2, 4, 3))
        for kind in (VerticalConvolution, HorizontalConvolution)
        for mask in ("A", "B")
    },
    "masked convolution of colours": lambda: plain(
        HorizontalConvolution(3, 6, 3, "B", num_colours=3, repeats=2), 1, 3, 2, 4
    ),
    "gated stacks": lambda: gated(1, 0, 0.0),
    "gated stacks of colours with classes": lambda: gated(3, 2, 0.0),
    "gated stacks with dropout": lambda: gated(1, 0, 0.4),
    "minibatch discrimination": lambda: plain(MinibatchDiscrimination(3, 2, 4), 4, 3),
    "picture to code": lambda: plain(PictureEncoder((1, 4, 4), [4], [5], 3, "silu"), 1, 1, 4, 4),
    "residual block": lambda: (
        ResidualBlock(4, 8, 3),
        lambda layer, x, vector: layer(x, vector),
        ((1, 4, 3, 3), (1, 3)),
    ),
    "U-Net": lambda: unet(1, (5, 4)),
    "U-Net over patches": lambda: unet(2, (4, 6)),
    "dense with residuals": lambda: (
        ResidualMLP(2, 6, 2, 3),
        lambda layer, x, vector: layer(x, vector),
        ((2, 2), (2, 3)),
    ),
    "time": of_times,
    "prompt": of_prompts,
    "code to picture": lambda: plain(PictureDecoder(3, [5], [4], (1, 4, 4), "silu"), 1, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    layer, call, shapes = CASES[name]()
    layer = layer.double()
    names = [key for key, _ in layer.named_parameters()]
    weights = [torch.randn_like(weight).add(0.3).requires_grad_() for weight in layer.parameters()]
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]

    class Called(nn.Module):
        """The layer as it is called, so that weights can be handed to it."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, *inputs: Tensor) -> Tensor:
            return call(self.layer, *inputs)

    called = Called()

    def run(*given: Tensor) -> Tensor:
        values = {f"layer.{key}": value for key, value in zip(names, given[len(inputs) :], strict=True)}
        out: Tensor = torch.func.functional_call(called, values, given[: len(inputs)])
        return out

    assert torch.autograd.gradcheck(run, (*inputs, *weights), fast_mode=True, atol=1e-4)


@pytest.mark.parametrize(
    "function",
    [
        lambda one, other: interpolate_codes(one, other, 4),
        lambda one, other: interpolate_codes(one, other, 4, "spherical"),
        lambda one, other: rotate(
            torch.stack([one, other])[None], tuple(p.double() for p in Rotary(4, 9.0)(torch.arange(2)[None]))
        ),
    ],
    ids=["linear", "spherical", "rotation"],
)
def test_gradients_of_functions_are_finite_differences(function: Call) -> None:
    torch.manual_seed(0)
    codes = [torch.randn(2, 4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(function, tuple(codes))


def test_no_layer_is_left_out() -> None:
    modules = [
        importlib.import_module(f"creuset.layers.{info.name}")
        for info in pkgutil.iter_modules(creuset.layers.__path__)
    ]
    layers = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    }
    checked = {type(part) for case in CASES.values() for part in case()[0].modules()}
    assert layers - WITHOUT_GRADIENTS - STRAIGHT_THROUGH <= checked
