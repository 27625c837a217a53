"""A language model with adapters side by side: which of them are in use is switched without loading anew.

model = creuset.load("smollm2-135m", adapter={"mine": "mine-peft", "yours": "yours-peft"})
model.use("yours"); model.generate("The sea is", max_tokens=20, temperature=0)
"""

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from creuset.adapters.switch import merge, merged_state, switched_layers, use
from creuset.adapters.whole import WholeLayer
from creuset.data.tokenizer import Tokenizer
from creuset.engines.base import Description, Engine, Piece, TextLogProbs
from creuset.engines.native import Native
from creuset.engines.native_loading import NativeModel
from creuset.engines.request import Request
from creuset.errors import UsageError, did_you_mean
from creuset.generation.sampling import Sampling
from creuset.generation.token_ids import text_ids
from creuset.generation.weight_formats import WeightFormat
from creuset.models.transformer import Transformer
from creuset.workflows.adapted import Adapted, open_adapted

_USUAL = "adapter"
"""What an adapter is called that nobody named."""


class LanguageHandle:
    """A language model that others trained, with adapters; the first of several is in use at first.

    Args:
        opened: The base with its adapters.
        name: What it is called.
        precision: How weights are stored that write texts; `logits` are always those of float32.
        context_length: Tokens of prompt and answer together; None: what the model was trained for, 4,096 at
            most.
    """

    def __init__(
        self,
        opened: Adapted,
        *,
        name: str,
        precision: WeightFormat = "float32",
        context_length: int | None = None,
    ) -> None:
        self._opened, self._name = opened, name
        self._precision, self._context_length = precision, context_length
        self._engine: Native | None = None
        self._names = tuple(opened.adapters)
        self._shares: dict[str, float] = {}
        self.use(*self._names[:1])

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of the adapters that can be used."""
        return self._names

    @property
    def in_use(self) -> Mapping[str, float]:
        """The adapters in use, and how much of each."""
        return dict(self._shares)

    @property
    def unproven(self) -> tuple[str, ...]:
        """A sentence on each adapter that nothing proves to be of this base."""
        return self._opened.unproven

    @property
    def body(self) -> Transformer:
        """The Transformer, float32, with its adapters beside its layers."""
        return self._opened.body

    @property
    def tokenizer(self) -> Tokenizer:
        """What cuts texts into tokens."""
        return self._opened.model.tokenizer

    def use(self, *names: str, weights: Sequence[float] | None = None) -> None:
        """Puts adapters in use, whose updates are added; none for the base alone.

        Args:
            names: Of the adapters.
            weights: How much of each is added, in their order; None for all of it.

        Raises:
            UsageError: No such adapter, another number of weights, a weight of layers that were trained
                whole, or two adapters that trained the same layer whole.
        """
        for name in names:
            if name not in self._names:
                raise UsageError(
                    f'no adapter is called "{name}"{did_you_mean(name, self._names)}',
                    where=self._name,
                    expected=", ".join(self._names) or "none: the model was opened without adapters",
                )
        if len(set(names)) < len(names) or (weights is not None and len(weights) != len(names)):
            raise UsageError(
                "each adapter once, with a weight for each or for none",
                got=f"{', '.join(names)}; weights {weights}",
            )
        shares = dict(zip(names, [1.0] * len(names) if weights is None else weights, strict=True))
        self._require_addable(shares)
        use(self.body, shares)
        self._shares = shares
        self.close()

    def merge(self) -> None:
        """Makes the adapters in use a part of the weights, for good; the others are let go."""
        merge(self.body)
        self._names, self._shares = (), {}
        self.close()

    def generate(self, prompt: str, *, max_tokens: int = 200, temperature: float = 0.8, seed: int = 0) -> str:
        """What the model goes on with behind a prompt, which is not repeated.

        Args:
            prompt: A text; it is not written as a chat.
            max_tokens: Tokens at most.
            temperature: 1 draws by the model's probabilities, less favours the likely; 0 takes the likeliest.
            seed: Decides the draws.

        Raises:
            UsageError: Prompt and answer together are longer than the context; the number is out of range.
        """
        sampling = Sampling(temperature=temperature, seed=seed)
        return self.engine().complete(Request(prompt=prompt, max_tokens=max_tokens, sampling=sampling)).text

    def logits(self, token_ids: Any) -> NDArray[np.float32]:
        """Scores of the token behind each, float32 (B, T, V), for ids, int (B, T), in float32."""
        ids = text_ids(token_ids, self._opened.config.vocab_size)
        with torch.no_grad():
            return self.body.logits(self.body.hidden(ids)).float().numpy()

    def engine(self) -> Native:
        """What answers with the adapters in use: made when it is first asked for, until others are used."""
        if self._engine is None:
            model = self._opened.model
            self._engine = Native(
                NativeModel(
                    config=self._opened.config,
                    weights=merged_state(self.body),
                    tokenizer=model.tokenizer,
                    eos_ids=model.eos_ids,
                    chat_template=model.chat_template,
                    sampling=model.sampling,
                    passed_over=model.passed_over,
                ),
                name=self._name,
                precision=self._precision,
                context_length=self._context_length,
            )
        return self._engine

    def close(self) -> None:
        """Lets go of what answers."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _require_addable(self, shares: Mapping[str, float]) -> None:
        """Layers that were trained whole stand in each other's place, and are not added."""
        for path, layer in switched_layers(self.body).items():
            if not isinstance(layer, WholeLayer):
                continue
            found = [name for name in shares if name in layer.names]
            if len(found) > 1 or any(shares[name] != 1 for name in found):
                raise UsageError(
                    "a layer that was trained whole takes the base's place: it is neither added nor weighted",
                    where=path,
                    got=", ".join(f"{name} x {shares[name]:g}" for name in found),
                    expected="one such adapter, with the weight 1",
                )


class AdaptedEngine(Engine):
    """A language handle as something that answers; `use` switches between two answers.

    Args:
        handle: The model.
    """

    def __init__(self, handle: LanguageHandle) -> None:
        self.handle = handle

    def use(self, *names: str) -> None:
        """As of the handle."""
        self.handle.use(*names)

    def describe(self) -> Description:
        return self.handle.engine().describe()

    def stream(self, request: Request) -> Generator[Piece, None, None]:
        return self.handle.engine().stream(request)

    def count_tokens(self, request: Request) -> int:
        return self.handle.engine().count_tokens(request)

    def cancel(self) -> None:
        self.handle.engine().cancel()

    def close(self) -> None:
        self.handle.close()

    def log_probs(self, text: str | Sequence[int], *, start: int = 1, num_top: int = 0) -> TextLogProbs:
        return self.handle.engine().log_probs(text, start=start, num_top=num_top)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.handle.engine().embed(texts)


def open_language_model(
    base: str,
    adapter: str | Path | Mapping[str, str | Path] | None = None,
    *,
    precision: WeightFormat = "float32",
    context_length: int | None = None,
) -> LanguageHandle:
    """A language model that others trained, by its name, folder or GGUF file, with adapters beside it.

    Args:
        base: The model.
        adapter: A PEFT folder, or several by the names that they are to have; None for the model alone.
        precision, context_length: As of `LanguageHandle`.

    Raises:
        NotFoundError: There is no such model or folder.
        CheckpointError: An adapter is of another base.
        UsageError, BlockedError, DataError: A folder that is not read, or a damaged file.
    """
    named = adapter if isinstance(adapter, Mapping) else {} if adapter is None else {_USUAL: adapter}
    opened = open_adapted(base, {name: Path(folder).expanduser() for name, folder in named.items()})
    _require_language(base, opened)
    name = Path(base).name or base
    return LanguageHandle(opened, name=name, precision=precision, context_length=context_length)


def _require_language(base: str, opened: Adapted) -> None:
    """Refuses models that score no tokens, and adapters that are of more than a language model."""
    if opened.config.architecture != "decoder" or opened.config.head == "none":
        raise UsageError(
            "this is no language model: it does not say which token follows",
            where=base,
            got=f"an {opened.config.architecture}",
            expected="a decoder with a head",
        )
    for name, adapter in opened.adapters.items():
        if adapter.others:
            raise UsageError(
                "this adapter trained more than the language model, which would be lost here",
                where=name,
                got=", ".join(sorted(adapter.others)[:3]),
                expected="updates of a language model; this one is of a classifier, or the like",
            )


def named_folders(given: Sequence[str]) -> dict[str, Path]:
    """The adapters of a command line, each NAME=FOLDER or FOLDER, by name.

    Without a name it is the folder's own, with "-" in the place of dots.

    Raises:
        UsageError: A name is given twice.
    """
    found: dict[str, Path] = {}
    for word in given:
        name, equals, folder = word.partition("=")
        path = Path(folder if equals else word).expanduser()
        key = name if equals else path.resolve().name.replace(".", "-")
        if key in found:
            raise UsageError(
                "two adapters of one name",
                where="--adapter",
                got=key,
                expected="NAME=FOLDER, each name once",
            )
        found[key] = path
    return found
