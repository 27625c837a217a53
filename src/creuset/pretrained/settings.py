"""A strict reader of a model's config.json: what is not understood is refused by name, never ignored.

A setting of it either describes the computation, and is then read by the family's file, or is known to leave
the outputs alone: names of files and classes, defaults of generation and of training, ids of special tokens.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from creuset.errors import UsageError, did_you_mean

Value = TypeVar("Value")
Json = Mapping[str, object]

WITHOUT_EFFECT = frozenset(
    {
        *("_name_or_path", "_attn_implementation_autoset", "_commit_hash", "architectures", "auto_map"),
        *("model_type", "name_or_path", "transformers_version", "transformers.js_config", "tokenizer_class"),
        *(
            "dtype",
            "torch_dtype",
            "initializer_range",
            "use_cache",
            "gradient_checkpointing",
            "unsloth_fixed",
        ),
        *("bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "mask_token_id"),
        *(
            "decoder_start_token_id",
            "forced_bos_token_id",
            "forced_eos_token_id",
            "prefix",
            "suppress_tokens",
        ),
        *("id2label", "label2id", "num_labels", "problem_type", "finetuning_task", "task_specific_params"),
        *("return_dict", "output_hidden_states", "output_attentions", "torchscript", "tf_legacy_loss"),
        *(
            "chunk_size_feed_forward",
            "use_bfloat16",
            "pretraining_tp",
            "is_llama_config",
            "remove_invalid_values",
        ),
        *("do_sample", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty"),
        *(
            "max_length",
            "min_length",
            "num_beams",
            "num_beam_groups",
            "num_return_sequences",
            "diversity_penalty",
        ),
        *("early_stopping", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids"),
        *("begin_suppress_tokens", "exponential_decay_length_penalty", "return_dict_in_generate"),
        *("output_scores", "output_past", "cache_implementation"),
    }
)
"""Settings that any model may have, whatever their value."""

NEUTRAL: Mapping[str, Sequence[object]] = {
    "pruned_heads": ({}, None),
    "is_decoder": (False,),
    "is_encoder_decoder": (False,),
    "add_cross_attention": (False,),
    "cross_attention_hidden_size": (None,),
    "tie_encoder_decoder": (False,),
    "rope_interleaved": (False,),
    "partial_rotary_factor": (None, 1, 1.0),
}
"""Settings that leave the outputs alone at these values, and are refused at any other."""


_LARGEST = 2**40
"""No size of a model is beyond it."""


class Settings:
    """The settings of a config.json, or of a section within it, each read at most where it is asked for.

    Args:
        values: What the file says.
        where: Its name in errors.
    """

    def __init__(self, values: Json, *, where: str = "config.json") -> None:
        self.where = where
        self._values = values
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether it is there with a value other than null."""
        return self._values.get(name) is not None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all that is there, in the file's order."""
        return tuple(self._values)

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number; the default where it is absent or null, and an error without a default."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refusal(name, "a whole number")
        if abs(value) > _LARGEST:
            raise self.refusal(name, f"a whole number up to {_LARGEST}")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A number; the default where it is absent or null, and an error without a default."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refusal(name, "a number")
        if not abs(value) <= _LARGEST:  # NaN is not, and no float holds some whole numbers
            raise self.refusal(name, f"a finite number up to {_LARGEST}")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """true or false; the default where it is absent or null."""
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise self.refusal(name, "true or false")
        return value

    def choice(self, name: str, choices: Mapping[str, Value], default: str | None = None) -> Value:
        """What a word stands for; the default word's where it is absent or null."""
        word = self._get(name, default)
        if not isinstance(word, str) or word not in choices:
            raise self.refusal(name, ", ".join(choices))
        return choices[word]

    def words(self, name: str) -> list[str] | None:
        """A list of words, or None where it is absent or null."""
        value = self._get(name, None)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.refusal(name, "a list of words")
        return value

    def section(self, name: str) -> "Settings | None":
        """A section of settings, or None where it is absent or null."""
        value = self._get(name, None)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.refusal(name, "a section of settings")
        return Settings(value, where=f"{self.where}: {name}")

    def only(self, name: str, *allowed: object) -> None:
        """Refuse a setting that is there with any value but these."""
        self._read.add(name)
        if name in self._values and not _is_among(self._values[name], allowed):
            raise self.refusal(name, " or ".join(map(str, allowed)))

    def unused(self, *names: str) -> None:
        """Settings of this family that leave the outputs alone, whatever their value."""
        self._read.update(names)

    def finish(self) -> None:
        """Refuse settings that were not read, unless they leave every model's outputs alone."""
        for name, allowed in NEUTRAL.items():
            if name not in self._read:
                self.only(name, *allowed)
        for name in sorted(self._values.keys() - self._read - WITHOUT_EFFECT):
            raise UsageError(
                f'a setting that is not known here: "{name}"{_hint(name, self._read)}',
                where=self.where,
                got=self._values[name],
                next_step="nothing was loaded, since it could change what the model computes",
            )

    def refusal(self, name: str, expected: str) -> UsageError:
        """The error for a setting whose value is not supported."""
        return UsageError(
            f'"{name}" is not supported with this value',
            where=self.where,
            got=repr(self._values[name]) if name in self._values else "nothing",
            expected=expected,
        )

    def _get(self, name: str, default: object) -> object:
        self._read.add(name)
        value = self._values.get(name)
        return default if value is None else value


def _is_among(value: object, allowed: Sequence[object]) -> bool:
    """Whether it equals one of them, where true is not 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in allowed)


def _hint(name: str, known: set[str]) -> str:
    hint = did_you_mean(name, known)
    return hint if "did you mean" in hint else ""
