"""A low-rank adapter as a GGUF file that llama.cpp adds to a model while it runs.

    general.type adapter, adapter.type lora, adapter.lora.alpha, and NAME.lora_a (R, I), NAME.lora_b (O, R)
    for each changed tensor NAME of the model's file, added as alpha / R times lora_b lora_a

Source: llama.cpp, convert_lora_to_gguf.py and llama-adapter.cpp. There is one alpha for all layers: where a
layer's scale is another one, as with rsLoRA or several ranks, the difference is in its lora_b. Rows of
queries and keys are permuted as the model's are (`writing.py`).

Legend of shapes: R rank, I inputs, O outputs.
"""

from pathlib import Path

from torch import Tensor

from creuset.adapters.adapter import Adapter
from creuset.errors import UsageError
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.gguf.config import ARCHITECTURES
from creuset.pretrained.gguf.weights import expected_tensors
from creuset.pretrained.gguf.writing import architecture_for, new_gguf, permuted


def write_lora_gguf(path: Path, adapter: Adapter, config: TransformerConfig, *, name: str) -> None:
    """Writes the file, complete or not at all.

    Args:
        path: The file; what is there is replaced.
        adapter: Of low-rank updates alone, without DoRA.
        config: The form of its base.
        name: What people call the adapter.

    Raises:
        UsageError: An update that llama.cpp does not know, or a base that is not written as GGUF.
        ResourceError: The disk is full.
    """
    architecture = architecture_for(config)
    _require_sayable(adapter)
    theirs = {ours: named for named, (ours, _) in expected_tensors(config)}
    alpha = next(iter(adapter.forms.values())).alpha
    with new_gguf(path, architecture) as writer:
        writer.add_type("adapter")
        writer.add_string("general.name", name)
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(alpha))
        for layer, form in adapter.forms.items():
            down = adapter.updates[f"{layer}.down"]
            up = adapter.updates[f"{layer}.up"] * (form.scale * form.rank / alpha)
            if ARCHITECTURES[architecture].permuted:
                up = _permuted(layer, up, config)
            target = theirs[f"{layer}.weight"]
            for ending, tensor in (("lora_a", down), ("lora_b", up)):
                numbers = tensor.detach().float().contiguous().cpu().numpy()
                writer.add_tensor(f"{target}.{ending}", numbers)


def _require_sayable(adapter: Adapter) -> None:
    decomposed = [layer for layer, form in adapter.forms.items() if form.decomposed]
    whole = sorted(adapter.whole)
    for names, what in ((decomposed, "DoRA's updates"), (whole, "layers trained whole")):
        if names:
            raise UsageError(
                f"llama.cpp adds low-rank updates while it runs, and no {what}",
                got=", ".join(names[:3]),
                expected="an adapter of LoRA or rsLoRA alone",
                next_step="export the merged model instead",
            )
    if not adapter.forms:
        raise UsageError("this adapter has no update", expected="one changed layer at least")


def _permuted(layer: str, up: Tensor, config: TransformerConfig) -> Tensor:
    if layer.endswith(".query"):
        return permuted(up, config.num_heads)
    return permuted(up, config.num_kv_heads) if layer.endswith(".key") else up
