"""A decoder as a folder of ONNX: token ids go in, logits come out, for any number of texts of any length.

    model.onnx              input_ids, int64 (B, T) -> logits, float32 (B, T, V)
    model.onnx.data         the weights, where they are too large for one file
    config.json             the form, in the words of Hugging Face's transformers
    tokenizer.json          with tokenizer_config.json: the tokenizer, and the chat template
    generation_config.json  the ids that end an answer

There is no attention mask: no token reads later ones, so padding behind a text changes nothing before it.
There are no keys and values of earlier tokens either: each run reads the whole text.

Source: ONNX, https://onnx.ai; the exporter is torch.onnx.export, which needs onnx and onnxscript.

Legend of shapes: B batch, T tokens, V vocabulary.
"""

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from creuset.data.chat_template import ChatTemplate
from creuset.data.tokenizer import Tokenizer
from creuset.data.tokenizer_files import CONFIG_FILE, GENERATION_FILE, as_json, read_settings
from creuset.errors import UsageError
from creuset.files import write_atomic
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.pretrained.folder import FORMATS, MODEL_CONFIG
from creuset.pretrained.hub_format import write_config

MODEL_FILE = "model.onnx"
INPUT, OUTPUT = "input_ids", "logits"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What writes a file, and what opens it again."""
_OPSET = 20
"""Version of ONNX's operators: what torch 2.13's exporter writes where nothing else is asked."""
_MOST_BYTES_IN_ONE_FILE = 2_000_000_000
"""Of weights: a protobuf message, which a .onnx file is, ends at 2 GiB."""


def require_onnx() -> None:
    """Refuses where a package is missing that ONNX files are written or opened with.

    Raises:
        UsageError: One is.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            "ONNX files are written and opened by packages that are not installed",
            where="--to onnx",
            got=f"without {', '.join(missing)}",
            expected=", ".join(PACKAGES),
            next_step=f"pip install {' '.join(missing)}, or creuset with its extra [onnx]",
        )


def require_decoder(config: TransformerConfig) -> None:
    """Refuses forms that are not written as ONNX.

    Raises:
        UsageError: It is no decoder, or has no head.
    """
    if config.architecture != "decoder" or config.head == "none":
        named = config.architecture.replace("_", "-")
        raise UsageError(
            "only language models that answer prompts are written as ONNX",
            where="--to onnx",
            got=f"an {named}" if config.architecture != "decoder" else "a decoder without a head",
            expected="a decoder with a head: the forms of Llama, Mistral, Qwen2, Qwen3, Gemma 3 and GPT-2",
        )


def write_onnx_folder(
    folder: Path,
    config: TransformerConfig,
    state: Mapping[str, Tensor],
    *,
    tokenizer: Tokenizer,
    chat_template: ChatTemplate | None,
    eos_ids: Sequence[int],
) -> None:
    """Writes a folder of ONNX, see the head of this file.

    Args:
        folder: Is made; it must not exist.
        config: The model's form, a decoder.
        state: Its tensors, float32, as a Transformer's `state_dict` names them.
        tokenizer: Its tokenizer.
        chat_template: How chats are written for it; None where it knows none.
        eos_ids: The tokens that end an answer.

    Raises:
        UsageError: It is no decoder, or torch cannot write its form.
    """
    require_decoder(config)
    folder.mkdir()
    write_onnx(folder / MODEL_FILE, config, state)
    _, values = write_config(config, FORMATS)
    write_atomic(folder / MODEL_CONFIG, as_json({**values, "torch_dtype": "float32"}))
    tokenizer.save(folder)
    if eos_ids:
        ids = list(eos_ids)
        generation = {"eos_token_id": ids[0] if len(ids) == 1 else ids}
        write_atomic(folder / GENERATION_FILE, as_json(generation))
    settings = {**read_settings(folder / CONFIG_FILE)}
    settings.pop("chat_template", None)  # which may be another one
    if chat_template is not None:
        settings["chat_template"] = chat_template.source
    write_atomic(folder / CONFIG_FILE, as_json(settings))


class _Scorer(nn.Module):
    """What is written: token ids to logits."""

    def __init__(self, body: Transformer) -> None:
        super().__init__()
        self.body = body

    def forward(self, input_ids: Tensor) -> Tensor:
        """int64 (B, T) -> float32 (B, T, V)."""
        logits: Tensor = self.body(input_ids)
        return logits


def write_onnx(path: Path, config: TransformerConfig, state: Mapping[str, Tensor]) -> None:
    """Writes the file of a model alone, and beside it FILE.data where the weights are large.

    Args:
        path: The file.
        config: The model's form, a decoder.
        state: Its tensors, float32, as a Transformer's `state_dict` names them.

    Raises:
        UsageError: torch cannot write this form.
    """
    from torch.onnx import OnnxExporterError
    from torch.onnx import export as export_onnx

    scorer = _Scorer(Transformer.from_weights(config, state)).eval()
    example = torch.zeros(2, 3, dtype=torch.int64)  # sizes of one or that are equal would be taken for fixed
    with torch.no_grad(), _quiet():
        scorer(example)  # frequencies of rotations are made once, and must not be made of symbols
        try:
            program = export_onnx(
                scorer,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: "batch", 1: "tokens"},),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
        except OnnxExporterError as error:
            raise UsageError(
                "torch cannot write this form as ONNX",
                where="--to onnx",
                got=str(error.__cause__ or error).strip().splitlines()[0][:200],
                next_step="export it as safetensors or gguf",
            ) from error
    assert program is not None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # lines of source code, with the paths of this machine
    num_bytes = sum(tensor.nbytes for tensor in state.values())
    program.save(str(path), external_data=num_bytes > _MOST_BYTES_IN_ONE_FILE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says of torch itself: uses that are deprecated, torchvision that is not
    there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (FutureWarning, DeprecationWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logger.setLevel(level)
