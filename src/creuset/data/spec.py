"""What a model has to know about its data."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

Kind = Literal["images", "table", "texts", "corpus", "pairs", "chats", "preferences"]
"""What a sample is: a picture, a row of numbers, a text, a block of tokens of a corpus, a pair of texts, a
text to tune a language model on (mostly a conversation), or two answers of which one is preferred."""
TUNING: tuple[Kind, ...] = ("chats", "preferences")
"""What a language model that others trained is tuned on."""


@dataclass(frozen=True, kw_only=True)
class SoundForm:
    """How a picture stands for a clip of sound, and what is needed to go back (`log_mel.py`).

    Args:
        sample_rate: Samples of sound in a second.
        num_samples: Samples of a clip, a multiple of `hop`.
        hop: Samples from one column of the picture to the next.
        window: Samples that a column looks at.
        num_mels: Bands of the mel scale, rows of the picture.
        dynamic_range: Decibels from black, 0, to white, 255: the mel power of a sine of amplitude 1.
        normalise: Whether each clip was scaled so that its loudest sample is 1.
    """

    sample_rate: int
    num_samples: int
    hop: int
    window: int
    num_mels: int
    dynamic_range: float
    normalise: bool

    @classmethod
    def from_json(cls, document: dict[str, Any] | None) -> Self | None:
        """The form whose `asdict` this is; None of other data."""
        return None if document is None else cls(**document)

    @property
    def num_frames(self) -> int:
        """Columns of the picture."""
        return self.num_samples // self.hop

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the picture."""
        return 1, self.num_mels, self.num_frames

    @property
    def seconds(self) -> float:
        """The length of a clip."""
        return self.num_samples / self.sample_rate


@dataclass(frozen=True, kw_only=True)
class CodeForm:
    """Which model made the code maps that stand for pictures (`code_maps.py`).

    Args:
        run: The run whose model it is, as it was named.
        checkpoint: SHA-256 of the weights that it was used with.
    """

    run: str
    checkpoint: str

    @classmethod
    def from_json(cls, document: dict[str, Any] | None) -> Self | None:
        """The form whose `asdict` this is; None of other data."""
        return None if document is None else cls(**document)


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """The form of one sample.

    Args:
        kind: "images" (stored uint8, batched float32 in [-1, 1]), "table" (stored float64, batched
            float32), "texts" (batched as the ids of their tokens, int64, padded), "corpus" (batched as
            tokens and the tokens that follow them, int64) or "pairs" (`text_pairs.py`).
        shape: (channels, height, width) of a picture, (features,) of a table row, () of texts and tokens.
        num_levels: Values that a stored pixel can take: 256, or 17 for scikit-learn's digits, or the codes of
            a codebook; 0 otherwise.
        sound: How the pictures stand for sound; None where they are pictures.
        codes: What made the maps of codes that stand for pictures, of which each place holds one of
            `num_levels` codes, in no order; None where they are pictures.
        class_names: The classes in the order of their labels; empty without labels.
        class_counts: Training samples of each class, for class weights; empty without labels.
        feature_names: A table's columns in their order; empty otherwise.
        feature_mean: Mean of each column over the training split; empty otherwise.
        feature_std: Standard deviation of each column over the training split, 1 where a column does not
            vary; batches hold (column - mean) / std. Empty otherwise.
        tokens: What a text is cut into (`vocabulary.py`), or "base": by the tokenizer of a base that others
            trained (`labelled_split.py`); None for other data.
        max_tokens: Tokens of a text that are read, its first ones; 0 for other data.
        vocabulary: The tokens of texts in the order of their ids; empty for other data.
        context: Tokens of a corpus's block, of a pair's source or target at most, or of a text to tune on at
            most; 0 for other data.
        tokenizer: The fingerprint of the tokenizer of a corpus, of pairs or of texts to tune on; empty for
            other data.
        tokenizer_size: Its ids; 0 for other data.
        mask_token: The id that stands for a token to be guessed; None where the tokenizer has none.
        special_tokens: The ids that stand for no text, such as those that end or fill up texts.
        bytes_per_token: Bytes of UTF-8 that a token of a corpus's validation split stands for, on average; 0
            for other data.
        loses_text: Whether the tokenizer loses something of that split (`text_loss.py`), so that no bits a
            byte can be told.
        word_counts: How often each id of a corpus's tokenizer stands in the training split, where its tokens
            are whole words, 0 for special tokens, unknown words among them; empty for other data.
        start_token: The id that a text of a corpus from nothing goes on from (`text_start.py`); None where it
            is not known, as in other data. It is no part of the form: specs that differ in it are equal.
        ids_before, ids_behind: What the tokenizer of pairs puts around each text; empty for other data.
        target_tokens: Tokens of a pair's target with its end mark, or of a text to tune on those that are
            learned (of its preferred answer), on average over the training split; 0 for other data.
        mixture: The known mixture that the samples were drawn from: "ring", "grid", or "stack" for pictures
            stacked as channels (`toys.py`); empty for other data.
    """

    kind: Kind
    shape: tuple[int, ...]
    num_levels: int
    sound: SoundForm | None = None
    codes: CodeForm | None = None
    class_names: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    feature_names: tuple[str, ...] = ()
    feature_mean: tuple[float, ...] = ()
    feature_std: tuple[float, ...] = ()
    tokens: Literal["words", "bytes", "base"] | None = None
    max_tokens: int = 0
    vocabulary: tuple[str, ...] = ()
    context: int = 0
    tokenizer: str = ""
    tokenizer_size: int = 0
    mask_token: int | None = None
    special_tokens: tuple[int, ...] = ()
    bytes_per_token: float = 0.0
    loses_text: bool = False
    word_counts: tuple[int, ...] = ()
    start_token: int | None = field(default=None, compare=False)
    ids_before: tuple[int, ...] = ()
    ids_behind: tuple[int, ...] = ()
    target_tokens: float = 0.0
    mixture: str = ""

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def vocab_size(self) -> int:
        """Ids of tokens."""
        return self.tokenizer_size or len(self.vocabulary)
