"""The sections of a recipe as frozen models: each field's description is its documentation everywhere
(the JSON Schema, `creuset config`, the resolved recipe's comments).

The `model` section belongs to the family it names (models/base.py), `collapse`, `evaluation` and `data.audio`
have files of their own; all others are here. A validator that looks at several fields begins its message with
the field it blames, which gives the message its place.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from creuset.recipe.audio import AudioConfig
from creuset.recipe.remedy import Cause, Remedy
from creuset.recipe.section import Section

Decay = Annotated[float, Field(ge=0, lt=1)]
_SGD_MOMENTUM = 0.9
_ADAM_BETAS = (0.9, 0.999)
_VOCABULARY_SIZE = 10_000


class FamilyConfig(Section):
    """What each family's `model` section has; a family adds its own fields.

    `sizes` maps each value of the dial to the defaults that it sets: the same fields at each size. A field
    that is given wins over the dial, and the dial over the field's own default. A family whose `sizes` is
    empty has no dial, and refuses `size`. `only_for` maps a field that has an effect on one kind of data
    alone to that kind. `own_sections` are fields that a recipe holds beside the `model` section and not in
    it, such as `objective`. `exact_likelihood` is true where log-likelihoods need no importance samples,
    `num_importance_samples` are those of a bound where a recipe does not say.
    """

    sizes: ClassVar[dict[str, dict[str, object]]] = {}
    own_sections: ClassVar[tuple[str, ...]] = ()
    num_importance_samples: ClassVar[int] = 200
    only_for: ClassVar[Mapping[str, str]] = {}
    exact_likelihood: ClassVar[bool] = False

    family: str = Field(description="The model family, a file of creuset/models.")
    size: Literal["tiny", "small", "base"] = Field(
        "small", description="The dial: sets each field of the family that the recipe leaves out."
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuses a dial that leaves a field unset at some size: that field would have two meanings."""
        super().__pydantic_init_subclass__(**kwargs)
        if not cls.sizes:
            return
        own = set(cls.model_fields) - {"family", "size"}
        turned = [set(fields) for fields in cls.sizes.values()]
        if cls.model_fields["size"].default not in cls.sizes or any(
            fields != turned[0] or not fields <= own for fields in turned
        ):
            raise TypeError(f"{cls.__name__}.sizes: each size, the default one too, sets the same fields")

    def refusals(self, data: "DataConfig") -> Mapping[str, str]:
        """What of this section and the data's does not fit together: dotted key -> why."""
        del data
        return {}

    def remedies(
        self,
        cause: Cause,
        training: "TrainingConfig",
        players: Mapping[str, "PlayerConfig"],
        data: "DataConfig",
        kind: str,
    ) -> Iterator[Remedy]:
        """What to set against a collapse, the first thing to try first; `kind` is that of the data."""
        del cause, training, players, data, kind
        yield from ()

    @property
    def base_name(self) -> str | None:
        """The model that others trained from which this one begins; None to begin from scratch."""
        return None

    @property
    def base_template(self) -> str | None:
        """A chat template of one's own for the base, or the file that holds it."""
        return None

    @property
    def base_context(self) -> int | None:
        """Tokens that a whole base reads at most; None for all that it can."""
        return None

    @property
    def repeats_batches(self) -> bool:
        """Whether all updates of a training step learn from one batch; else each sees the next one."""
        return False

    @property
    def trains_blocks(self) -> bool:
        """Whether a gradient goes through blocks of a Transformer, which can be made once more for it."""
        return False

    @property
    def answer_room(self) -> int:
        """Tokens of the answers that are written to the data's prompts in training; 0 where none are."""
        return 0

    @property
    def base_dropout(self) -> float:
        """The dropout of a base in training."""
        return 0.0

    def pooled_as(self, pooling: str, normalise: bool) -> Self:
        """The section of a base that makes vectors of texts so; what it says itself stays."""
        del pooling, normalise
        return self

    @classmethod
    def recipe_keys(cls) -> dict[str, FieldInfo]:
        """All fields but those of sections of their own, and no dial where it turns nothing."""
        left_out = {*cls.own_sections, *(() if cls.sizes else ("size",))}
        return {key: field for key, field in cls.model_fields.items() if key not in left_out}

    @classmethod
    def size_defaults(cls, size: object) -> dict[str, object]:
        """What the dial sets at `size` (None: the default size); nothing for a size that is not there."""
        name = cls.model_fields["size"].default if size is None else size
        return dict(cls.sizes.get(name, {})) if isinstance(name, str) else {}

    @classmethod
    def left_to_size(cls, written: Set[str]) -> set[str]:
        """The fields that the dial still sets where these are written."""
        return {field for fields in cls.sizes.values() for field in fields} - written

    @model_validator(mode="before")
    @classmethod
    def _turn_dial(cls, values: Any) -> Any:
        return {**cls.size_defaults(values.get("size")), **values} if isinstance(values, dict) else values

    @field_validator("size")
    @classmethod
    def _dial_turns_something(cls, size: str) -> str:
        if not cls.sizes:
            raise ValueError("this family has no sizes; leave the key out")
        if size not in cls.sizes:
            raise ValueError(f'this family has no size "{size}"; there is: {", ".join(cls.sizes)}')
        return size


class AugmentationConfig(Section):
    """Random changes to training pictures (never to validation or test pictures)."""

    shift: int = Field(0, ge=0, description="Largest shift along each axis, in pixels; 0 is off.")
    rotate: float = Field(0.0, ge=0, le=180, description="Largest rotation either way, in degrees; 0 is off.")
    erase: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="Largest share of a picture's sides that a black patch covers; 0 is off.",
    )
    flip: bool = Field(False, description="Mirror half of the pictures left to right.")


class DataConfig(Section):
    """Where the data comes from, how it is split and batched."""

    source: str = Field(
        description="A name (digits, mnist-5k, python-reference; ring, grid: toys), a folder of pictures, of "
        "WAV files or of .txt files, or a file: .npz, IDX (.gz), CSV, TSV, .txt, .jsonl; of a family that "
        "tunes a base a file of conversations, texts, pairs or preferences (docs/tuning_data.md). "
        "run:NAME: the codes that the VQ-VAE of that run makes of its own data, in its splits."
    )
    batch_size: int = Field(128, ge=1, description="Samples in one global batch, over all processes.")
    image_size: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        None,
        description="Height and width of the pictures held by a CSV's rows; without it a CSV is a table.",
    )
    label_column: str | None = Field(
        None, description="The CSV column with the class; default: a column called label, class or target."
    )
    text_column: str | None = Field(
        None, description="The column of a CSV or TSV file that holds a text in each row."
    )
    source_column: str | None = Field(
        None,
        description="Of pairs of texts, such as a text and its translation: what the source is called, in "
        "a .jsonl file a name in each line's object (default: source). In a CSV or TSV file it is a column, "
        "and naming it or target_column makes the file one of pairs.",
    )
    target_column: str | None = Field(
        None, description="What the target of a pair is called (default: target)."
    )
    tokens: Literal["words", "bytes"] = Field(
        "words", description="What texts are cut into: words in lower case and punctuation marks, or bytes."
    )
    vocabulary_size: int = Field(
        _VOCABULARY_SIZE,
        ge=1,
        description="Words that are told apart, the most frequent of the training texts; of plain text and "
        "pairs the tokens that a tokenizer learns, special ones too; for characters and words the most there "
        "may be.",
    )
    max_tokens: int = Field(
        256, ge=1, description="Tokens of a text that are read, its first; longer texts are cut and counted."
    )
    tokenizer: str = Field(
        "characters",
        description="What plain text and pairs are cut into: characters, words, byte_bpe, wordpiece, unigram "
        "(made from the training split, for both sides of a pair together), bytes, or the folder or "
        "tokenizer.json of a tokenizer that exists.",
    )
    context: int = Field(
        256,
        ge=1,
        description="Tokens of plain text in a sample, which a model reads at once; of a pair the most that "
        "each of its texts may have: longer pairs are left out and counted.",
    )
    unreadable: Literal["refuse", "skip"] = Field(
        "refuse",
        description="A picture or clip that cannot be read: stop and name it, or skip, name and count it.",
    )
    validation_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of the samples for validation, where the source has no such split.",
    )
    test_share: float = Field(
        0.1, ge=0, lt=1, description="Share of the samples for the test, where the source has no such split."
    )
    test_source: str | None = Field(
        None,
        description="Of texts or pairs to tune a base on: a file of the rows to measure on, in place of a "
        "share of the source.",
    )
    too_long: Literal["refuse", "drop"] = Field(
        "refuse",
        description="Of conversations and preferences to tune a language model on, where a row has more "
        "tokens than are read at once: stop and show it, or drop, name and count it.",
    )
    limit: int | None = Field(None, ge=1, description="Use only this many training samples.")
    stack: int = Field(
        1,
        ge=1,
        le=3,
        description="Grey pictures of the source, drawn at random, that make the colours of one sample, red, "
        "green and blue in this order; 3 of digits have 1,000 modes.",
    )
    augmentation: AugmentationConfig = Field(
        AugmentationConfig(), description="Random changes to training pictures."
    )
    audio: AudioConfig = Field(AudioConfig(), description="How sound becomes pictures.")

    @model_validator(mode="after")
    def _settings_of_texts_have_an_effect(self) -> Self:
        if self.tokens == "bytes" and self.vocabulary_size != _VOCABULARY_SIZE:
            raise ValueError("vocabulary_size has no effect on bytes; leave the key out")
        if self.text_column is None:
            return self
        if self.image_size is not None:
            raise ValueError("image_size has no effect on texts; leave it out, or text_column")
        if self.augmentation != AugmentationConfig():
            raise ValueError("augmentation has no effect on texts: only pictures can be augmented")
        if self.label_column == self.text_column:
            raise ValueError("label_column is the column of the texts; name that of their classes")
        return self

    @model_validator(mode="after")
    def _pairs_have_two_columns(self) -> Self:
        if self.source_column is None and self.target_column is None:
            return self
        if (self.source_column or "source") == (self.target_column or "target"):
            raise ValueError("source_column and target_column are the same; name two columns")
        for name in ("text_column", "label_column", "image_size"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} has no effect on pairs of texts; leave it out, or source_column")
        return self

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError(
                "validation_share and test_share together must be less than 1: training needs the rest"
            )
        return self


class PlayerConfig(Section):
    """What one player's optimizer does otherwise than `training` says."""

    learning_rate: float | None = Field(None, gt=0, description="Default: training.learning_rate.")
    betas: tuple[Decay, Decay] | None = Field(None, description="Default: training.betas.")
    num_steps: int = Field(1, ge=1, description="Updates of this player in each training step.")


class TrainingConfig(Section):
    """How a model is trained."""

    num_steps: int = Field(1000, ge=1, description="Training steps in all.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak step size of the optimizer.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="The update rule.")
    betas: tuple[Decay, Decay] = Field(
        _ADAM_BETAS, description="Decay of Adam's running mean and square (Kingma & Ba 2015)."
    )
    momentum: float = Field(
        _SGD_MOMENTUM, ge=0, lt=1, description="Decay of sgd's running gradient; 0 is plain sgd."
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="Decoupled for adamw, L2 for adam and sgd; not of biases and of the gains of norms.",
    )
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate rises from 0.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="How the learning rate falls after the warm-up."
    )
    final_learning_rate: float = Field(
        0.0, ge=0, le=1, description="Where a falling schedule ends, as a share of learning_rate."
    )
    clip_norm: float | None = Field(
        None, gt=0, description="Largest norm of a player's gradient; off if null."
    )
    accumulate: int = Field(1, ge=1, description="Parts that a batch is cut into, their gradients added.")
    checkpoint_blocks: bool = Field(
        False,
        description="Keep what each block of a Transformer is given alone, and make the rest once more for "
        "the gradient: less memory, a quarter to a third more time, the same numbers.",
    )
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="Decay of the running mean of the weights, which is then used; 0 is off."
    )
    precision: Literal["float32", "bfloat16", "float64", "auto"] = Field(
        "float32",
        description="Number format of the products; auto: bfloat16 where this processor gains from it.",
    )
    device: str = Field("auto", description="cpu, cuda, cuda:1, or auto: an accelerator where there is one.")
    threads: int | None = Field(None, ge=1, description="Processor threads; default: torch's choice.")
    distributed: Literal["ddp", "fsdp"] = Field(
        "ddp", description="Under torchrun: copies of the model, or its parameters sharded."
    )
    validate_every: int | None = Field(
        None, ge=1, description="Steps between validations; default: a tenth of num_steps."
    )
    checkpoint_every: int | None = Field(
        None, ge=1, description="Steps between checkpoints; default: a tenth of num_steps."
    )
    sample_every: int | None = Field(
        None,
        ge=1,
        description="Steps between sheets of samples, or samples of text; default: a fifth of num_steps.",
    )
    log_every: int = Field(50, ge=1, description="Steps between journal lines; their values are means.")
    patience: int | None = Field(
        None, ge=1, description="Stop after this many validations without a better one; off if null."
    )
    seed: int = Field(0, ge=0, description="Decides every random draw of the run.")

    @model_validator(mode="after")
    def _every_setting_has_an_effect(self) -> Self:
        if self.schedule == "constant" and self.final_learning_rate != 0:
            raise ValueError("final_learning_rate has no effect while schedule is constant")
        if self.optimizer == "sgd" and self.betas != _ADAM_BETAS:
            raise ValueError("betas have no effect on sgd; leave the key out")
        if self.optimizer != "sgd" and self.momentum != _SGD_MOMENTUM:
            raise ValueError(f"momentum has no effect on {self.optimizer}; set betas")
        return self
