"""`creuset generate --prompt`: texts by a run's language model, or by one that others trained; shown or
written into a file."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from creuset.device import derive_seed, memory_errors
from creuset.engines.opening import open_engine
from creuset.engines.request import Request
from creuset.errors import NotFoundError, UsageError
from creuset.files import write_atomic
from creuset.generation.continuations import text_sheet
from creuset.workflows.load import find_run, load

SUFFIXES = (".txt", ".json")
MAX_TOKENS = 200
TEMPERATURE = 0.8
"""Below 1, at which small models read best."""
_SEEDS = 2**32
"""Seeds that every driver takes."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Texts and what they were written from.

    Args:
        run: The run's ID, or the model's name.
        step: The training steps that a run's checkpoint holds; None for another model.
        prompt: What the texts go on from; it is no part of them.
        max_tokens: Tokens of each at most.
        temperature: How much chance there was.
        seed: What decided the draws.
        texts: What the model wrote.
    """

    run: str
    step: int | None
    prompt: str
    max_tokens: int
    temperature: float
    seed: int
    texts: tuple[str, ...]

    def to_json(self) -> str:
        """With the version of this form."""
        return json.dumps({"format": 1, **asdict(self)}, indent=2, ensure_ascii=False)

    def whole_texts(self) -> list[str]:
        """The texts behind their prompt."""
        return [self.prompt + text for text in self.texts]


def write(
    run: str | Path,
    out: Path | None = None,
    *,
    prompt: str = "",
    num: int = 1,
    max_tokens: int = MAX_TOKENS,
    temperature: float = TEMPERATURE,
    seed: int = 0,
    checkpoint: str = "best",
) -> Writing:
    """Lets a language model go on with a prompt.

    Args:
        run: The run's ID or folder; or a GGUF file, a model's folder, or the name of such a model.
        out: A file for the texts with their prompts (.txt), or with all that decided them (.json); None for
            no file.
        prompt: What the texts go on from; empty for texts from the beginning of a line.
        num: How many.
        max_tokens: Tokens of each at most.
        temperature: 1 draws by the model's probabilities, less favours the likely; 0 takes the likeliest.
        seed: Decides the draws.
        checkpoint: Of a run: "best", "last", or a name.

    Raises:
        NotFoundError: There is neither such a run nor such a model.
        UsageError: The family writes no texts, the prompt is too long or holds what no token stands for, a
            number is out of range, or `out` has an unknown ending.
    """
    if out is not None:
        require_suffix(out)
    if not temperature >= 0:
        raise UsageError("no temperature", where="temperature", got=temperature, expected="0 or more")
    settings = Writing(
        run=str(run),
        step=None,
        prompt=prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        texts=(),
    )
    made = _by_run(run, checkpoint, num, settings) if _is_run(run) else _by_model(run, num, settings)
    forms: dict[str, Callable[[], str]] = {
        ".txt": lambda: text_sheet(made.whole_texts()),
        ".json": lambda: made.to_json() + "\n",
    }
    if out is not None:
        write_atomic(out, forms[out.suffix]())
    return made


def require_suffix(out: Path) -> None:
    """UsageError for a file that is none of those that texts are written into."""
    if out.suffix not in SUFFIXES:
        raise UsageError(
            "unknown ending", where=out, got=out.suffix or "none", expected=" or ".join(SUFFIXES)
        )


def _is_run(name: str | Path) -> bool:
    """Whether a run has this name; a name that says so is taken at its word."""
    if str(name).startswith("run:"):
        return True
    try:
        find_run(name)
    except NotFoundError:
        return False
    return True


def _by_run(run: str | Path, checkpoint: str, num: int, settings: Writing) -> Writing:
    loaded = load(run, checkpoint=checkpoint)
    with memory_errors("ask for fewer texts"):
        texts = loaded.write(
            settings.prompt,
            num,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            seed=settings.seed,
        )
    return replace(settings, run=loaded.run.id, step=loaded.step, texts=tuple(texts))


def _by_model(name: str | Path, num: int, settings: Writing) -> Writing:
    """Each text by a request of its own, whose seed follows from the given one and its number."""
    if num < 1:
        raise UsageError("nothing would be written", where="num", got=num, expected="at least 1")
    if not settings.prompt:
        raise UsageError(
            "a model that others trained goes on with a prompt", where="prompt", got="an empty text"
        )
    with open_engine(str(name)) as engine:
        requests = [
            Request(
                prompt=settings.prompt,
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                seed=derive_seed(settings.seed, "text", number) % _SEEDS,
            )
            for number in range(num)
        ]
        return replace(settings, texts=tuple(engine.complete(request).text for request in requests))
