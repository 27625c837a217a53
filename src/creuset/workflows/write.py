"""`creuset generate --prompt`: texts by a run's language model, or by one that others trained, and what
a run's encoder with its decoder makes of a source; shown or written into a file."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from creuset.device import derive_seed, memory_errors
from creuset.engines.request import MAX_SEED, Request
from creuset.errors import NotFoundError, UsageError
from creuset.files import write_atomic
from creuset.generation.continuations import text_sheet
from creuset.generation.sampling import Sampling
from creuset.models import family
from creuset.progress import Progress, Silent
from creuset.workflows.language_handle import AdaptedEngine
from creuset.workflows.load import Loaded, find_run, load, run_recipe
from creuset.workflows.tuned_model import open_chat_engine, tuned_run

SUFFIXES = (".txt", ".json")
MAX_TOKENS = 200
TEMPERATURE = 0.8
"""Below 1, at which small models read best."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Texts and what they were written from.

    Args:
        run: The run's ID, or the model's name.
        step: The training steps that a run's checkpoint holds; None for another model.
        prompt: What the texts go on from, or the source that they were made of; it is no part of them.
        max_tokens: Tokens of each at most; None for as many as an encoder with its decoder can write.
        temperature: How much chance there was; None for a beam search.
        seed: What decided the draws; None for a beam search.
        texts: What the model wrote.
        goes_on: Whether the texts go on from the prompt.
    """

    run: str
    step: int | None
    prompt: str
    max_tokens: int | None
    temperature: float | None
    seed: int | None
    texts: tuple[str, ...]
    goes_on: bool = True

    def to_json(self) -> str:
        """With the version of this form."""
        return json.dumps({"format": 1, **asdict(self)}, indent=2, ensure_ascii=False)

    def whole_texts(self) -> list[str]:
        """The texts, behind their prompt where they go on from it."""
        return [self.prompt + text if self.goes_on else text for text in self.texts]


def write(
    run: str | Path,
    out: Path | None = None,
    *,
    prompt: str = "",
    num: int = 1,
    max_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
    checkpoint: str | None = None,
    adapters: Mapping[str, Path] | None = None,
    progress: Progress | None = None,
) -> Writing:
    """Lets a language model go on with a prompt, or an encoder with its decoder make a text of it.

    Args:
        run: The run's ID or folder; or a GGUF file, a model's folder, or the name of such a model.
        out: A file for the texts with their prompts (.txt), or with all that decided them (.json); None for
            no file.
        prompt: What the texts go on from; empty for texts from nothing. For an encoder with its decoder the
            source.
        num: How many; of an encoder with its decoder the best of a beam search.
        max_tokens: Tokens of each at most; default: MAX_TOKENS, or all that an encoder with its decoder can
            write.
        temperature: 1 draws by the model's probabilities, less favours the likely; 0 takes the likeliest;
            default: TEMPERATURE. A beam search takes none.
        seed: Decides the draws; default: 0. A beam search takes none.
        checkpoint: Of a run: "best", "last", or a name; default: "best". Other models have none.
        adapters: PEFT folders by name, of a model that others trained; the updates of several are added.
        progress: Is told where nothing proves that an adapter is of this model.

    Raises:
        NotFoundError: There is neither such a run nor such a model.
        UsageError: The family writes no texts, the prompt is too long or holds what no token stands for, a
            number is out of range, or `out` has an unknown ending.
    """
    if out is not None:
        require_suffix(out)
    if temperature is not None and not temperature >= 0:
        raise UsageError("no temperature", where="temperature", got=temperature, expected="0 or more")
    asked = Writing(
        run=str(run),
        step=None,
        prompt=prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        texts=(),
    )
    which = "best" if checkpoint is None else checkpoint
    tuned = tuned_run(str(run))
    if _is_run(run) and tuned is None:
        _refuse_adapters(run, adapters)
        made = _by_run(run, which, num, asked)
    elif checkpoint is None or tuned is not None:
        made = _by_model(run, num, asked, which, adapters, Silent() if progress is None else progress)
    else:
        raise UsageError(
            "a setting without effect: a model that others trained has one state",
            where="--checkpoint",
            got=checkpoint,
            next_step="leave --checkpoint out",
        )
    forms: dict[str, Callable[[], str]] = {
        ".txt": lambda: text_sheet(made.whole_texts()),
        ".json": lambda: made.to_json() + "\n",
    }
    if out is not None:
        write_atomic(out, forms[out.suffix]())
    return made


def writes_from_nothing(run: str | Path) -> bool:
    """Whether a name stands for a run whose model writes texts without a prompt."""
    try:
        found = find_run(run)
    except NotFoundError:
        return False
    return "generates_text" in family(run_recipe(found).model.family).traits


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


@dataclass(frozen=True, kw_only=True)
class _Draws:
    """How texts are drawn, with the usual numbers where none are given."""

    max_tokens: int
    temperature: float
    seed: int

    @classmethod
    def of(cls, asked: Writing) -> "_Draws":
        return cls(
            max_tokens=MAX_TOKENS if asked.max_tokens is None else asked.max_tokens,
            temperature=TEMPERATURE if asked.temperature is None else asked.temperature,
            seed=0 if asked.seed is None else asked.seed,
        )


def _by_run(run: str | Path, checkpoint: str, num: int, asked: Writing) -> Writing:
    loaded = load(run, checkpoint=checkpoint)
    with memory_errors("ask for fewer texts"):
        if "transduces_text" in loaded.family.traits:
            return _transduced(loaded, num, asked)
        drawn = asdict(_Draws.of(asked))
        texts = loaded.write(asked.prompt, num, **drawn)
    return replace(asked, run=loaded.run.id, step=loaded.step, texts=tuple(texts), **drawn)


def _transduced(loaded: Loaded, num: int, asked: Writing) -> Writing:
    """The best texts of a beam search, in which nothing is drawn."""
    for name in ("temperature", "seed"):
        value = getattr(asked, name)
        if value is not None:
            raise UsageError(
                f"a setting without effect: the family {loaded.family.name} searches for the likeliest text",
                where=f"--{name}",
                got=value,
                next_step=f"leave --{name} out; -n gives the next best texts",
            )
    texts = loaded.transduce(asked.prompt, num, max_tokens=asked.max_tokens)
    return replace(asked, run=loaded.run.id, step=loaded.step, texts=tuple(texts), goes_on=False)


def _refuse_adapters(run: str | Path, adapters: Mapping[str, Path] | None) -> None:
    if adapters:
        raise UsageError(
            "adapters are of language models that others trained",
            where="--adapter",
            got=f"the run {run}",
            next_step="leave --adapter out",
        )


def _by_model(
    name: str | Path,
    num: int,
    asked: Writing,
    checkpoint: str,
    adapters: Mapping[str, Path] | None,
    progress: Progress,
) -> Writing:
    """Each text by a request of its own, whose seed follows from the given one and its number."""
    if num < 1:
        raise UsageError("nothing would be written", where="num", got=num, expected="at least 1")
    if not asked.prompt:
        raise UsageError(
            "a model that others trained goes on with a prompt", where="prompt", got="an empty text"
        )
    draws = _Draws.of(asked)
    with open_chat_engine(str(name), checkpoint=checkpoint, adapters=adapters) as engine:
        if isinstance(engine, AdaptedEngine):
            for remark in engine.handle.unproven:
                progress.say(f"warning: {remark}")
            engine.use(*engine.handle.adapters)
        requests = [
            Request(
                prompt=asked.prompt,
                max_tokens=draws.max_tokens,
                sampling=Sampling(
                    temperature=draws.temperature,
                    seed=derive_seed(draws.seed, "text", number) % (MAX_SEED + 1),
                ),
            )
            for number in range(num)
        ]
        texts = tuple(engine.complete(request).text for request in requests)
    return replace(asked, texts=texts, **asdict(draws))
