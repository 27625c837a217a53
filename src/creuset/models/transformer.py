"""The Transformer: encoder, decoder, or both.

    token_embedding -> encoder or decoder: position_embedding, segment_embedding, embedding_norm,
    blocks of (attention, cross_attention, feedforward), norm -> head -> logits

Source: Vaswani et al. 2017, "Attention Is All You Need"; a decoder alone: Radford et al. 2019, "Language
Models are Unsupervised Multitask Learners"; an encoder alone: Devlin et al. 2019, "BERT"; first weights:
Radford et al. 2019, section 2.3: normal, those that add to the residual smaller by the root of their number.

Legend of shapes: B batch, T tokens, S tokens of the encoder, E features, V vocabulary, N chosen places.
"""

from collections.abc import Mapping
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn

from creuset.device import BatchGenerator
from creuset.errors import CheckpointError
from creuset.layers.attention import AttentionRecord
from creuset.layers.form_only import form_only
from creuset.layers.key_value_cache import KeyValueCache
from creuset.layers.masks import memory_mask
from creuset.layers.transformer_block import Memory
from creuset.models.token_layout import filled_row, impossible, lay_out
from creuset.models.transformer_config import TransformerConfig
from creuset.models.transformer_head import Head
from creuset.models.transformer_stack import TransformerStack


class Inputs(TypedDict, total=False):
    """What `Transformer.hidden` takes besides token ids, where it is explained."""

    positions: Tensor | None
    documents: Tensor | None
    padding: Tensor | None
    segments: Tensor | None
    memory: Tensor | None
    memory_padding: Tensor | None
    cache: KeyValueCache | None
    generator: BatchGenerator | None
    record: AttentionRecord | None


class Transformer(nn.Module):
    """A Transformer of any form that a TransformerConfig describes.

    Args:
        config: Its form.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.embed_dim)
        both = config.architecture == "encoder_decoder"
        self.encoder: TransformerStack | None = None
        if config.encoder_layers:
            self.encoder = TransformerStack(
                config, num_layers=config.encoder_layers, causal=False, cross_attention=False
            )
        self.decoder: TransformerStack | None = None
        if config.decoder_layers:
            self.decoder = TransformerStack(
                config, num_layers=config.decoder_layers, causal=True, cross_attention=both
            )
        self.pooler = nn.Linear(config.embed_dim, config.embed_dim) if config.pooler else None
        self.head = None if config.head == "none" else Head(config)
        self._initialise()

    @classmethod
    def from_weights(cls, config: TransformerConfig, weights: Mapping[str, Tensor]) -> "Transformer":
        """A model that takes these tensors for its own, without making others first, in evaluation mode.

        Args:
            config: Its form.
            weights: The tensor of each parameter, as `state_dict` names them.

        Raises:
            CheckpointError: Tensors are missing, too many, or of another shape.
        """
        with form_only():
            model = cls(config)
        try:
            model.load_state_dict(weights, strict=True, assign=True)
        except RuntimeError as error:
            raise CheckpointError(
                "these weights do not fit the model's form",
                got="; ".join(line.strip() for line in str(error).splitlines()[1:]),
                expected="exactly one tensor of the right shape for each parameter",
            ) from error
        return model.eval()

    def forward(self, token_ids: Tensor, *, at: Tensor | None = None, **inputs: Unpack[Inputs]) -> Tensor:
        """The logits of each token, or of chosen ones: `logits(hidden(...))`.

        Args:
            token_ids: int64 (B, T).
            at: Where logits are wanted, since the head costs more than a block: bool (B, T) for N places in
                order, or int64 (B,) for one place of each row; None for all.
            inputs: Everything else that `hidden` takes.

        Returns:
            (B, T, V), (N, V) or (B, V).
        """
        states = self.hidden(token_ids, **inputs)
        if at is not None:
            states = states[at] if at.dtype == torch.bool else states[torch.arange(len(at)), at]
        return self.logits(states)

    def logits(self, states: Tensor) -> Tensor:
        """The scores of all tokens for states of `hidden`, (..., E) -> (..., V)."""
        if self.head is None:
            raise impossible("this Transformer has no head", "config.head linear or transformed")
        scores: Tensor = self.head(states, self.token_embedding.weight)
        return scores

    def pool(self, states: Tensor) -> Tensor:
        """tanh of a dense layer on the first token's state, (B, T, E) -> (B, E)."""
        if self.pooler is None:
            raise impossible("this Transformer has no pooler", "config.pooler")
        return torch.tanh(self.pooler(states[:, 0]))

    def encode(
        self,
        token_ids: Tensor,
        *,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        segments: Tensor | None = None,
        generator: BatchGenerator | None = None,
        record: AttentionRecord | None = None,
    ) -> Tensor:
        """The encoder's states, (B, T, E); arguments as for `hidden`."""
        if self.encoder is None:
            raise impossible("this Transformer has no encoder", "config.architecture encoder or both")
        layout = lay_out(self.config, token_ids, positions, documents, padding, segments)
        states: Tensor = self.encoder(self._embedded(token_ids), layout, generator=generator, record=record)
        return states

    def hidden(
        self,
        token_ids: Tensor,
        *,
        positions: Tensor | None = None,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        segments: Tensor | None = None,
        memory: Tensor | None = None,
        memory_padding: Tensor | None = None,
        cache: KeyValueCache | None = None,
        generator: BatchGenerator | None = None,
        record: AttentionRecord | None = None,
    ) -> Tensor:
        """The last states before the head: the decoder's where there is one, else the encoder's.

        Args:
            token_ids: int64 (B, T).
            positions: int64 (B or 1, T), the place of each token in its text; None to count tokens from the
                first of each row or document, and behind those of the cache.
            documents: int64 (B, T), the id of each token's document; attention is within a document, which
                begins where the id changes. None where a row is one text.
            padding: bool (B, T), True where a token is; None for tokens everywhere. States at padding
                mean nothing. With a cache it comes behind the tokens.
            segments: int64 (B, T), the kind of segment of each token; None for kind 0 everywhere.
            memory: (B, S, E), what `encode` returned, for a decoder that reads it; None where the cache
                has seen it.
            memory_padding: bool (B, S), True where the encoder read a token.
            cache: Keys and values of the tokens before these; these are added to it.
            generator: Draws all dropout, one row a sample; nothing is dropped without.
            record: Is given the attention weights of each layer, which are otherwise never made.

        Returns:
            (B, T, E).

        Raises:
            UsageError: A text longer than the context or the cache, or an argument without use.
        """
        num_tokens = token_ids.shape[1]
        plain = positions is None and padding is None and record is None and cache is None
        if documents is not None and plain and len(token_ids) == 1 and token_ids.device.type == "cpu":
            token_ids, documents, segments = filled_row(self.config, token_ids, documents, segments)
        if self.decoder is None:
            if memory is not None or memory_padding is not None or cache is not None:
                raise impossible("an encoder takes neither memory nor cache", "token ids alone")
            return self.encode(
                token_ids,
                positions=positions,
                documents=documents,
                padding=padding,
                segments=segments,
                generator=generator,
                record=record,
            )[:, :num_tokens]
        layout = lay_out(self.config, token_ids, positions, documents, padding, segments, cache)
        states: Tensor = self.decoder(
            self._embedded(token_ids),
            layout,
            memory=self._memory(memory, memory_padding, cache, documents),
            cache=cache,
            generator=generator,
            record=record,
        )
        if cache is not None:
            rows = len(token_ids)
            cache.advance([num_tokens] * rows if padding is None else padding.sum(1).tolist())
        return states[:, :num_tokens]

    def attention_weights(
        self,
        token_ids: Tensor,
        *,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        memory: Tensor | None = None,
        memory_padding: Tensor | None = None,
    ) -> AttentionRecord:
        """The attention weights of each layer of `hidden`, (B, H, T, S) each; without gradients."""
        record = AttentionRecord()
        with torch.no_grad():
            self.hidden(
                token_ids,
                documents=documents,
                padding=padding,
                memory=memory,
                memory_padding=memory_padding,
                record=record,
            )
        return record

    def new_cache(self, num_rows: int, capacity: int) -> KeyValueCache:
        """An empty cache for the decoder, in the number format of the weights.

        Args:
            num_rows: B.
            capacity: Tokens of a row at most; within the context length.
        """
        limit = self.config.context_length
        if self.decoder is None or (limit is not None and capacity > limit):
            raise impossible(
                f"no cache for {capacity} tokens", f"a decoder, and at most {limit} tokens, its context"
            )
        weight = self.token_embedding.weight
        return KeyValueCache(
            num_layers=self.config.decoder_layers,
            num_rows=num_rows,
            num_kv_heads=self.config.num_kv_heads,
            head_dim=self.config.head_dim,
            capacity=capacity,
            dtype=weight.dtype,
            device=weight.device,
        )

    def _embedded(self, token_ids: Tensor) -> Tensor:
        embedded: Tensor = self.token_embedding(token_ids)
        scale = self.config.embedding_scale
        # rounded to the weights' format first, as the released models do
        return embedded if scale == 1 else embedded * torch.tensor(scale, dtype=embedded.dtype)

    def _memory(
        self,
        memory: Tensor | None,
        memory_padding: Tensor | None,
        cache: KeyValueCache | None,
        documents: Tensor | None,
    ) -> Memory | None:
        """The encoder's output as the decoder's blocks read it; None for a decoder alone."""
        held = cache is not None and cache.holds_memory
        if self.encoder is None or held:
            if memory is not None or memory_padding is not None:
                reason = (
                    "the cache holds an encoder's output already" if held else "a decoder alone reads none"
                )
                raise impossible(f"no use for memory: {reason}", "memory=None")
            if cache is None or not held:
                return None
            return Memory(states=None, mask=memory_mask(cache.memory_padding))
        if memory is None or documents is not None:
            raise impossible(
                "this decoder reads an encoder's output, row by row",
                "memory=model.encode(...), and documents=None",
            )
        if cache is not None:
            cache.memory_padding = memory_padding
        return Memory(states=memory, mask=memory_mask(memory_padding))

    def _initialise(self) -> None:
        """First weights, from torch's global generator (which who builds a model seeds)."""
        std = self.config.init_std
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for stack in (self.encoder, self.decoder):
            if stack is None:
                continue
            parts = [part for part in stack.named_parameters() if part[0].endswith(_RESIDUAL)]
            for _, weight in parts:
                nn.init.normal_(weight, std=std / len(parts) ** 0.5)
        if self.head is not None:
            if self.head.weight is not None:
                nn.init.normal_(self.head.weight, std=std)
            if self.head.bias is not None:
                nn.init.zeros_(self.head.bias)


_RESIDUAL = ("attention.output.weight", "feedforward.down.weight")
"""How the names of weights end whose products are added to the residual."""
