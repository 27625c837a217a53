"""A language model by its name: found, and opened by the driver that suits its files."""

from pathlib import Path
from typing import Literal

from creuset.assets import resolve
from creuset.engines.base import Engine
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.llamacpp_server import Pooling
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
    pooling: Pooling | None = None,
    lookup: int = 0,
    reuse_prompt: bool | None = False,
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
        pooling: How `embed` makes one vector of a text: "mean", "cls" (the first token's) or "last"; with
            "llamacpp" also "model", as the file says. None: no vectors.
        lookup: "native" guesses so many tokens from the text itself and verifies them in one step.
        reuse_prompt: "llamacpp" keeps what two requests in a row begin with in common, such as a chat; it is
            faster, and equal requests may then differ in the last digits. None: where the driver can.
        progress: Shows the bytes where an asset is taken into the store.

    Raises:
        NotFoundError: There is no such model.
        DataError: Its files are damaged.
        UsageError: A driver that cannot read it, or an option that it does not have; it is named.
    """
    found = resolve(name, progress=progress)
    is_gguf = found.file is not None and found.file.suffix == _GGUF
    place = found.file if is_gguf and found.file is not None else found.path
    chosen = driver if driver is not None else ("llamacpp" if is_gguf else "native")
    if chosen == "native":
        if reuse_prompt:
            raise _without("native", "reuse_prompt", True, "leave it out, or use the driver llamacpp")
        if pooling == "model":
            raise _without("native", "pooling", pooling, 'name "mean", "cls" or "last"')
        return Native.open(
            place,
            name=name,
            precision="bfloat16" if precision is None else precision,
            context_length=context_length,
            pooling=pooling,
            lookup=lookup,
        )
    if precision is not None:
        raise UsageError(
            "a GGUF file has its own precision",
            where="precision",
            got=precision,
            next_step="leave it out, or use the driver native",
        )
    if lookup:
        raise _without("llamacpp", "lookup", lookup, "leave it out, or use the driver native")
    if not is_gguf:
        raise UsageError(
            "llama.cpp reads GGUF files alone",
            where=name,
            got=Path(place).name,
            expected="a .gguf file",
            next_step="use the driver native",
        )
    reused = True if reuse_prompt is None else reuse_prompt
    return LlamaCpp(place, name=name, context_length=context_length, pooling=pooling, reuse_prompt=reused)


def _without(driver: Driver, option: str, got: object, next_step: str) -> UsageError:
    return UsageError(
        f"the driver {driver} does not have this option", where=option, got=got, next_step=next_step
    )
