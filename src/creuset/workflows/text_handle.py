"""What can be asked of a model of texts: to go on with a prompt, fill masks, make a text of another one, or a
vector of each."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.data.tokenizer import Tokenizer
from creuset.errors import CheckpointError
from creuset.generation.continuations import continuations, prompt_ids
from creuset.generation.decoding import Writer
from creuset.generation.fillings import Filling, fill_masks
from creuset.generation.sampling import Sampling
from creuset.generation.token_ids import text_ids
from creuset.generation.transduction import transduce
from creuset.generation.written_text import TextRequest
from creuset.models.embedder import Embedder
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.models.language_model import LanguageModel
from creuset.models.masked_language_model import MaskedLanguageModel
from creuset.models.pair_embedder import PairEmbedder
from creuset.models.transformer import Transformer
from creuset.models.tuned import Tuned
from creuset.pretrained.sentence_embedder import SentenceEmbedder
from creuset.pretrained.text_side import open_text_side
from creuset.training.base import base_path
from creuset.workflows.handle import Handle


class TextHandle(Handle):
    """The part of a trained model that is about texts."""

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of a model of plain text, as the run holds it.

        Raises:
            CheckpointError: It is not the one that the model was trained with.
        """
        tokenizer = Tokenizer.from_folder(self.run.tokenizer_path)
        if tokenizer.fingerprint != self.spec.tokenizer:
            raise CheckpointError(
                "this tokenizer is not the one that the model was trained with",
                where=self.run.tokenizer_path,
                got=f"fingerprint {tokenizer.fingerprint[:16]}",
                expected=f"fingerprint {self.spec.tokenizer[:16]}",
                next_step="put the run's own tokenizer back",
            )
        return tokenizer

    @cached_property
    def embedder(self) -> SentenceEmbedder:
        """What makes vectors of texts, laid out for speed."""
        model = self._pair_embedder()
        return SentenceEmbedder(self.plain_embedder(), self.tokenizer, max_tokens=model.max_tokens)

    def plain_embedder(self) -> Embedder:
        """The network that makes them, for itself: without adapters, its layers as they were built."""
        return self._pair_embedder().plain_embedder().to(self.device)

    def embed(self, texts: Sequence[str], *, truncate: int | None = None) -> NDArray[np.float32]:
        """The vector of each text, float32 (N, features).

        Args:
            texts: Any texts.
            truncate: Keep the first so many tokens of a text that has more, at most `embedder.max_tokens`;
                None to refuse such a text.

        Raises:
            UsageError: The model does not embed texts, or a text is longer than it reads.
        """
        return self.embedder.embed(texts, truncate=truncate)

    def _pair_embedder(self) -> PairEmbedder:
        model = self.having("embeds_texts", "make vectors of texts")
        assert isinstance(model, PairEmbedder)
        return model

    def write(
        self,
        prompt: str = "",
        num_texts: int = 1,
        *,
        max_tokens: int = 200,
        temperature: float = 0.8,
        seed: int = 0,
    ) -> list[str]:
        """What a language model goes on with behind a prompt, which is not repeated.

        Args:
            prompt: In words that the tokenizer knows; empty for a text from nothing.
            num_texts: How many.
            max_tokens: Tokens of each at most.
            temperature: 1 draws by the model's probabilities, less favours the likely; 0 takes the likeliest.
            seed: Decides the draws.
        """
        model = self.having("generates_text", "write texts")
        assert isinstance(model, LanguageModel)
        return continuations(
            model,
            self.tokenizer,
            prompt,
            num_texts=num_texts,
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, seed=seed),
            device=self.device,
        )

    def continue_text(self, prompt: str, *, max_tokens: int, temperature: float, seed: int) -> str:
        """What a model goes on with behind a prompt: one that was trained here, or one that was tuned."""
        if "answers_chats" not in self.family.traits:
            (text,) = self.write(prompt, max_tokens=max_tokens, temperature=temperature, seed=seed)
            return text
        model = self.having("answers_chats", "write texts")
        assert isinstance(model, Tuned)
        base = self.run.manifest().base
        assert base is not None
        ends = open_text_side(base_path(base["name"])).eos_ids
        decoder = Transformer.from_weights(model.body.config, model.plain_state())
        request = TextRequest(
            prompt=prompt_ids(self.tokenizer, prompt),
            max_tokens=max_tokens,
            sampling=Sampling(temperature=temperature, seed=seed),
        )
        steps = Writer(decoder, self.tokenizer, eos_ids=ends).write([request])
        return "".join(output.text for (output,) in steps)

    def token_logits(self, token_ids: Any) -> NDArray[np.float32]:
        """Scores of the token behind each, float32 (B, T, V), for ids, int (B, T)."""
        model = self.model
        assert isinstance(model, Tuned | LanguageModel)
        with torch.no_grad():
            if isinstance(model, Tuned):
                ids = text_ids(token_ids, model.body.config.vocab_size).to(self.device)
                return model.body.logits(model.body.hidden(ids)).float().cpu().numpy()
            ids = text_ids(token_ids, model.vocab_size).to(self.device)
            return model.scores(model.states(ids, None)).float().cpu().numpy()

    def transduce(self, text: str, num_texts: int = 1, *, max_tokens: int | None = None) -> list[str]:
        """What a model that makes a text of another one makes of this one: the best by beam search, best
        first.

        Args:
            text: The source. A model that learned on plain text fills in what is missing, where it says <1>,
                <2> and so on, and the whole text is returned.
            num_texts: How many.
            max_tokens: Tokens of each at most; None for as many as the model can write.
        """
        model = self.having("transduces_text", "make a text of another one")
        assert isinstance(model, EncoderDecoder)
        return transduce(model, self.tokenizer, text, num_texts=num_texts, max_tokens=max_tokens)

    def fill(self, prompt: str, num: int = 5) -> tuple[Filling, ...]:
        """What a model puts into each mask of a prompt, the likeliest `num` tokens with probabilities.

        Args:
            prompt: With [MASK], or the tokenizer's own mask token, in place of each token to be guessed.
            num: Guesses of each.
        """
        model = self.having("fills_masks", "fill masks")
        assert isinstance(model, MaskedLanguageModel)
        return fill_masks(model, self.tokenizer, prompt, num=num, device=self.device)
