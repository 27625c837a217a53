"""The head of a text classifier in the files of Hugging Face, apart from the body beside it.

Such a file is the body's tensors and one linear layer: "classifier" (BERT's, and for tokens that of RoBERTa,
DistilBERT and GPT-2 too) or "score" (those of all other decoders, and GPT-2's for a text). Pure functions on
mappings.

Legend of shapes: E features, K classes.
"""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from creuset.errors import CheckpointError
from creuset.pretrained import tensor_links

HeadLayer = Literal["classifier", "score"]
_LAYERS: tuple[HeadLayer, ...] = ("classifier", "score")


def split_head(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the body, as they are, and the head as `TextClassifier.load_head_state` takes it.

    Args:
        tensors: Theirs, by name.

    Returns:
        The body's, and "output.weight" (K, E) with "output.bias" (K) where there is one.

    Raises:
        CheckpointError: There is no such layer, there are two, or it is of more than one linear layer.
    """
    names = {name for name in tensors if name.partition(".")[0] in _LAYERS}
    layers = sorted({name.partition(".")[0] for name in names})
    if len(layers) != 1:
        raise CheckpointError(
            "the weights hold no head for classes" if not layers else "the weights hold two heads",
            where="the weights",
            got=", ".join(layers) or "a body alone",
            expected=f"one layer, {' or '.join(_LAYERS)}",
        )
    links = tensor_links.linked_layer("output", layers[0], bias=f"{layers[0]}.bias" in names)
    head = tensor_links.to_ours({name: tensors[name] for name in names}, links, where="the head")
    return {name: tensor for name, tensor in tensors.items() if name not in names}, head


def head_to_theirs(head_state: Mapping[str, Tensor], layer: HeadLayer) -> dict[str, Tensor]:
    """The head's tensors under their names: `split_head` turned round.

    Args:
        head_state: What `TextClassifier.head_state` gave.
        layer: Their name of the layer, which the body's family decides.

    Raises:
        CheckpointError: A tensor is missing or left over; it is named.
    """
    links = tensor_links.linked_layer("output", layer, bias="output.bias" in head_state)
    return tensor_links.to_theirs(head_state, links, where="the head")
