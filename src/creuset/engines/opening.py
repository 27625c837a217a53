"""A language model by its name: found, and opened by the driver that suits its files."""

from pathlib import Path
from typing import Literal

from creuset.assets import resolve
from creuset.engines.base import Engine
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.native import Native
from creuset.errors import UsageError
from creuset.generation.weight_formats import WeightFormat
from creuset.progress import Progress

Driver = Literal["llamacpp", "native"]

_GGUF = ".gguf"


def open_engine(
    name: str,
    *,
    driver: Driver | None = None,
    precision: WeightFormat | None = None,
    context_length: int | None = None,
    reuse_prompt: bool = False,
    progress: Progress | None = None,
) -> Engine:
    """The model of a GGUF file, of a folder, or of an asset's name, ready to answer.

    Args:
        name: What `creuset.assets.resolve` finds.
        driver: "llamacpp" reads GGUF files alone; "native" these and folders. None: llamacpp for a GGUF file,
            native for a folder.
        precision: How "native" stores weights; None for bfloat16.
        context_length: Tokens of prompt and answer together; None: what the model was trained for, 4,096 at
            most.
        reuse_prompt: "llamacpp" keeps what two requests in a row begin with in common, such as a chat.
        progress: Shows the bytes where an asset is taken into the store.

    Raises:
        NotFoundError: There is no such model.
        DataError: Its files are damaged.
        UsageError: A driver that cannot read it, or one that has no precision to choose.
    """
    found = resolve(name, progress=progress)
    is_gguf = found.file is not None and found.file.suffix == _GGUF
    place = found.file if is_gguf and found.file is not None else found.path
    chosen = driver if driver is not None else ("llamacpp" if is_gguf else "native")
    if chosen == "native":
        used: WeightFormat = "bfloat16" if precision is None else precision
        return Native.open(place, name=name, precision=used, context_length=context_length)
    if precision is not None:
        raise UsageError(
            "a GGUF file has its own precision",
            where="precision",
            got=precision,
            next_step="leave it out, or use the driver native",
        )
    if not is_gguf:
        raise UsageError(
            "llama.cpp reads GGUF files alone",
            where=name,
            got=Path(place).name,
            expected="a .gguf file",
            next_step="use the driver native",
        )
    return LlamaCpp(place, name=name, context_length=context_length, reuse_prompt=reuse_prompt)
