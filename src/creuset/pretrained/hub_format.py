"""How one family of models lies in a Hugging Face folder: its config.json and the names of its tensors."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from creuset.errors import UsageError, did_you_mean
from creuset.layers.gated_feedforward import FeedForwardActivation
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.settings import Json, Settings
from creuset.pretrained.tensor_links import Link

ACTIVATIONS: Mapping[str, FeedForwardActivation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""Their words for activations, and ours."""
ACTIVATION_WORDS: Mapping[FeedForwardActivation, str] = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_pytorch_tanh",
    "relu": "relu",
    "silu": "silu",
}


@dataclass(frozen=True, kw_only=True)
class HubFormat:
    """One `model_type` of config.json.

    Args:
        model_type: Its name.
        read: The form that the settings describe; reads all of them, and refuses what it does not know.
        write: The settings of a form, without `model_type`. It may leave out what it cannot say: whether all
            was said is checked by reading them.
        links: Our tensors and theirs, for a form.
        prefix: How the names of all tensors but the head's begin; a file of the body alone leaves it out.
        copies: Tensors that a file may hold twice where the head is tied: the copy's name to the original's.
        without_weights: Endings of names of tensors that some files hold and that follow from the form.
        older_endings: How names end in older files, to how they end today.
        adapt: The form with what the settings leave open and the names of the tensors say, such as whether
            there is a pooler; names with or without the prefix.
    """

    model_type: str
    read: Callable[[Settings], TransformerConfig]
    write: Callable[[TransformerConfig], dict[str, Any]]
    links: Callable[[TransformerConfig], list[Link]]
    prefix: str
    copies: Mapping[str, str]
    without_weights: tuple[str, ...] = ()
    older_endings: Mapping[str, str] = field(default_factory=dict)
    adapt: Callable[[TransformerConfig, AbstractSet[str]], TransformerConfig] = lambda config, _: config


_LAYER_COUNTS = (
    "num_hidden_layers",
    "num_layers",
    "num_decoder_layers",
    "n_layer",
    "n_layers",
    "encoder_layers",
    "decoder_layers",
)
"""How config.json files call their numbers of layers."""
_MOST_LAYERS = 10_000
"""Where the weights are not known."""


def read_config(
    values: Json, formats: Sequence[HubFormat], names: AbstractSet[str] | None = None
) -> tuple[HubFormat, TransformerConfig]:
    """The format of a config.json, and the form that it describes.

    Args:
        values: The settings.
        formats: The families that can be read.
        names: Those of the tensors, which say what the settings leave open; None where only they are known.

    Raises:
        UsageError: Its family is not among `formats`, or a setting is not supported; it is named.
    """
    known = {each.model_type: each for each in formats}
    name = values.get("model_type")
    if not isinstance(name, str) or name not in known:
        raise UsageError(
            f'no model of type "{name}" can be read here{did_you_mean(str(name), known)}',
            where="config.json: model_type",
            expected=", ".join(sorted(known)),
        )
    _require_layers(values, names)
    settings = Settings(values)
    config = known[name].read(settings)
    settings.finish()
    return known[name], config if names is None else known[name].adapt(config, names)


def _require_layers(values: Json, names: AbstractSet[str] | None) -> None:
    """Refuses more layers than there are tensors for, before any work is done for each of them."""
    most = _MOST_LAYERS if names is None else len(names)
    for word in _LAYER_COUNTS:
        count = values.get(word)
        if isinstance(count, int) and count > most:
            raise UsageError(
                "more layers than there are weights for",
                where=f"config.json: {word}",
                got=count,
                expected=f"at most {most}" + ("" if names is None else ", the number of tensors"),
            )


def write_config(config: TransformerConfig, formats: Sequence[HubFormat]) -> tuple[HubFormat, dict[str, Any]]:
    """The first format that can say all of a form, and its config.json.

    What matters to training alone (dropout, the spread of first weights) need not be said.

    Raises:
        UsageError: None can; the fields that the nearest one cannot say are named.
    """
    nearest: tuple[int, str, str] | None = None
    for each in formats:
        values = {"model_type": each.model_type, **each.write(config)}
        try:
            names = {link.theirs for link in each.links(config)}
            left_out = _unsaid(config, read_config(values, (each,), names)[1])
            count, reason = len(left_out), ", ".join(left_out)
        except UsageError as error:
            count, reason = len(vars(config)), str(error).replace("\n ", ";")
        if count == 0:
            return each, values
        if nearest is None or count < nearest[0]:
            nearest = count, each.model_type, reason
    assert nearest is not None
    raise UsageError(
        "no Hugging Face family here computes what this model computes",
        where="TransformerConfig",
        got=nearest[2],
        expected=f'a form that one of them has; "{nearest[1]}" comes nearest',
    )


def _unsaid(config: TransformerConfig, again: TransformerConfig) -> list[str]:
    """The fields that are others when the settings of a form are read again."""
    wanted, said = vars(_computing(config)), vars(_computing(again))
    return [f"{name}={value!r}" for name, value in wanted.items() if said[name] != value]


def _computing(config: TransformerConfig) -> TransformerConfig:
    """A form without what matters to training alone, and with its decoder's depth spelled out."""
    both = config.architecture == "encoder_decoder"
    return replace(
        config,
        num_decoder_layers=config.decoder_layers if both else None,
        dropout=0.0,
        attention_dropout=0.0,
        init_std=1.0,
    )
