"""The form of a Transformer: everything that decides what it computes, as plain numbers and words.

One set of fields spans the original Transformer, GPT-2, Llama, Mistral, Qwen, Gemma, BERT and its kin, T5 and
BART. No code asks which of them a form belongs to: what they differ in is a field.
"""

from dataclasses import dataclass
from typing import Literal

from creuset.errors import UsageError
from creuset.layers.attention import AttentionConfig
from creuset.layers.gated_feedforward import FeedForwardActivation
from creuset.layers.norm import NormConfig, NormKind
from creuset.layers.positions import RotaryScaling
from creuset.layers.transformer_block import BlockConfig, NormPlacement

Architecture = Literal["encoder", "decoder", "encoder_decoder"]
Positions = Literal["none", "learned", "sinusoidal", "rotary", "relative"]
Head = Literal["none", "linear", "transformed"]


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """The form of a Transformer.

    Args:
        architecture: "encoder": each token reads all others; "decoder": none reads later ones;
            "encoder_decoder": a decoder that also reads an encoder's output.
        vocab_size: Tokens there are.
        embed_dim: Features of a token.
        num_layers: Blocks of the one stack, or of the encoder.
        num_decoder_layers: Blocks of the decoder beside an encoder; None for `num_layers`.
        num_heads: Heads of queries.
        num_kv_heads: Heads of keys and values, which `num_heads` is a multiple of.
        head_dim: Features of a head; num_heads * head_dim may differ from embed_dim.
        feedforward_dim: Hidden features of the feed-forward part.
        context_length: Tokens that a text may have; None where nothing limits it.
        norm: "layer" or "rms".
        norm_eps: Added under the root.
        norm_bias: Whether "layer" has a bias.
        norm_plus_one: Whether the gain of "rms" is 1 + weight.
        norm_placement: "pre", "post" or "sandwich" (both).
        final_norm: Whether each stack ends with a norm.
        embedding_norm: Whether embeddings are normalised before the first block.
        embedding_scale: What token embeddings are multiplied by, rounded to their number format first.
        positions: How a token's place is told: by a learned or sinusoidal vector added to its embedding, by
            rotated queries and keys, by learned biases of scores, or not at all.
        position_offset: Rows of the learned table before that of the first place.
        rope_theta: "rotary": the base of the frequencies.
        rope_scaling: "rotary": how they are stretched for longer texts.
        sliding_rope_theta: "rotary": the base for layers with a sliding window, which are then not
            stretched; None for the same rotation in all layers.
        num_buckets: "relative": learned values a head.
        max_distance: "relative": from this distance on all keys share a value.
        sliding_window: Keys that a query reads at most in `sliding_layers`, itself among them.
        sliding_layers: Blocks with a sliding window, counted from 0.
        query_scale: What scores are multiplied by; None for 1 / sqrt(head_dim).
        qk_norm: Whether each head's queries and keys are normalised before they are rotated.
        qkv_bias: Whether queries, keys and values have a bias.
        output_bias: Whether the output of attention has one.
        activation: The function of the feed-forward part, and of a "transformed" head.
        gated: Whether the feed-forward part is gated.
        feedforward_bias: Whether its linear layers have a bias.
        num_segments: Kinds of segments with a learned vector each, such as question and answer; 0 without.
        head: "linear": scores of tokens; "transformed": a dense layer, the activation and a norm before
            them, for masked tokens; "none": the states are the output.
        head_bias: Whether the scores have a bias.
        tied_head: Whether the head's weights are those of the token embedding.
        head_scale: What states are multiplied by before the head.
        logit_softcap: c of c tanh(logits / c), or None.
        pooler: Whether there is a dense layer with tanh on the first token's state.
        dropout: Probability of a zero in embeddings and in what each part of a block adds.
        attention_dropout: Probability that an attention weight is zero.
        init_std: Standard deviation of first weights.

    Raises:
        UsageError: Fields that contradict each other.
    """

    architecture: Architecture
    vocab_size: int
    embed_dim: int
    num_layers: int
    num_decoder_layers: int | None = None
    num_heads: int
    num_kv_heads: int
    head_dim: int
    feedforward_dim: int
    context_length: int | None
    norm: NormKind
    norm_eps: float
    norm_bias: bool = False
    norm_plus_one: bool = False
    norm_placement: NormPlacement = "pre"
    final_norm: bool = True
    embedding_norm: bool = False
    embedding_scale: float = 1.0
    positions: Positions
    position_offset: int = 0
    rope_theta: float | None = None
    rope_scaling: RotaryScaling | None = None
    sliding_rope_theta: float | None = None
    num_buckets: int = 0
    max_distance: int = 0
    sliding_window: int | None = None
    sliding_layers: tuple[int, ...] = ()
    query_scale: float | None = None
    qk_norm: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    activation: FeedForwardActivation
    gated: bool = False
    feedforward_bias: bool = False
    num_segments: int = 0
    head: Head = "linear"
    head_bias: bool = False
    tied_head: bool = False
    head_scale: float = 1.0
    logit_softcap: float | None = None
    pooler: bool = False
    dropout: float = 0.0
    attention_dropout: float = 0.0
    init_std: float = 0.02

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_positions()
        self._check_windows()
        self._check_head()

    @property
    def norm_config(self) -> NormConfig:
        """How vectors are normalised, everywhere in the model."""
        return NormConfig(kind=self.norm, eps=self.norm_eps, bias=self.norm_bias, plus_one=self.norm_plus_one)

    @property
    def decoder_layers(self) -> int:
        """Blocks of the decoder; 0 for an encoder alone."""
        if self.architecture == "encoder":
            return 0
        return self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers

    @property
    def encoder_layers(self) -> int:
        """Blocks of the encoder; 0 for a decoder alone."""
        return 0 if self.architecture == "decoder" else self.num_layers

    def block(self, *, cross_attention: bool) -> BlockConfig:
        """The form of a block of the encoder, or of the decoder."""
        attention = AttentionConfig(
            embed_dim=self.embed_dim,
            num_heads=self.num_heads,
            num_kv_heads=self.num_kv_heads,
            head_dim=self.head_dim,
            scale=self.query_scale,
            qkv_bias=self.qkv_bias,
            output_bias=self.output_bias,
            qk_norm=self.norm_config if self.qk_norm else None,
            dropout=self.attention_dropout,
        )
        return BlockConfig(
            attention=attention,
            cross_attention=cross_attention,
            feedforward_dim=self.feedforward_dim,
            activation=self.activation,
            gated=self.gated,
            feedforward_bias=self.feedforward_bias,
            norm=self.norm_config,
            norm_placement=self.norm_placement,
            dropout=self.dropout,
        )

    def _check_sizes(self) -> None:
        for name in (
            *("vocab_size", "embed_dim", "num_layers", "num_heads", "num_kv_heads", "head_dim"),
            *("feedforward_dim", "norm_eps", "num_decoder_layers", "context_length", "sliding_window"),
            *("rope_theta", "sliding_rope_theta", "logit_softcap", "query_scale", "embedding_scale"),
        ):
            value = getattr(self, name)
            _require(value is None or value > 0, name, value, "a number above 0")
        for name in ("dropout", "attention_dropout"):
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "a number in [0, 1)")
        multiple = self.num_heads % self.num_kv_heads == 0
        _require(multiple, "num_kv_heads", self.num_kv_heads, f"a divisor of num_heads, {self.num_heads}")
        alone = self.num_decoder_layers is None or self.architecture == "encoder_decoder"
        _require(alone, "num_decoder_layers", self.num_decoder_layers, f"None for an {self.architecture}")
        _require(not (self.norm_bias and self.norm == "rms"), "norm_bias", True, "False with norm rms")
        _require(not (self.norm_plus_one and self.norm == "layer"), "norm_plus_one", True, "norm rms")

    def _check_positions(self) -> None:
        kind = self.positions
        limited = kind not in ("learned", "sinusoidal") or self.context_length is not None
        _require(limited, "context_length", None, f"a number of tokens with {kind} positions")
        _require(kind == "learned" or not self.position_offset, "position_offset", self.position_offset, "0")
        _require(self.position_offset >= 0, "position_offset", self.position_offset, "at least 0")
        if self.rope_scaling is not None and self.rope_scaling.kind == "yarn" and self.rope_theta is not None:
            # the logarithm of the base is divided by
            _require(self.rope_theta > 1, "rope_theta", self.rope_theta, "above 1 with yarn")
        for name in ("rope_theta", "rope_scaling", "sliding_rope_theta"):
            value = getattr(self, name)
            _require(kind == "rotary" or value is None, name, value, f"None with {kind} positions")
        _require(kind != "rotary" or self.rope_theta is not None, "rope_theta", None, "a number")
        even = kind != "rotary" or self.head_dim % 2 == 0
        _require(even, "head_dim", self.head_dim, "an even number with rotary positions")
        even = kind != "sinusoidal" or self.embed_dim % 2 == 0
        _require(even, "embed_dim", self.embed_dim, "an even number with sinusoidal positions")
        if kind == "relative":
            _require(self.num_buckets >= 4, "num_buckets", self.num_buckets, "at least 4")
            far = self.max_distance > self.num_buckets // 2
            _require(far, "max_distance", self.max_distance, f"more than half of {self.num_buckets} buckets")
        else:
            unused = not self.num_buckets and not self.max_distance
            _require(unused, "num_buckets", self.num_buckets, f"0 with {kind} positions")

    def _check_windows(self) -> None:
        layers = self.sliding_layers
        both = (self.sliding_window is None) == (not layers)
        _require(
            both, "sliding_window", self.sliding_window, "a number exactly where there are sliding_layers"
        )
        causal = not layers or self.architecture == "decoder"
        _require(causal, "sliding_layers", layers, "() beside an encoder")
        known = tuple(sorted(set(layers) & set(range(self.num_layers)))) == layers
        _require(known, "sliding_layers", layers, f"rising numbers below {self.num_layers}")
        used = self.sliding_rope_theta is None or bool(layers)
        _require(used, "sliding_rope_theta", self.sliding_rope_theta, "None without sliding_layers")

    def _check_head(self) -> None:
        if self.head == "none":
            unused = not (self.head_bias or self.tied_head or self.logit_softcap or self.head_scale != 1)
            _require(unused, "head", "none", "a head, or none of its settings")
        encodes = self.architecture == "encoder" or not (self.pooler or self.num_segments)
        _require(encodes, "architecture", self.architecture, "encoder, with a pooler or segments")


def _require(condition: bool, field: str, got: object, expected: str) -> None:
    """UsageError that names a field where the condition does not hold."""
    if not condition:
        raise UsageError(
            "a Transformer cannot have this form",
            where=f"TransformerConfig.{field}",
            got=got,
            expected=expected,
        )
