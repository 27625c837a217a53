"""`creuset generate --prompt`: texts by a run's language model, shown or written into a file."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from creuset.device import memory_errors
from creuset.errors import UsageError
from creuset.files import write_atomic
from creuset.generation.continuations import text_sheet
from creuset.workflows.load import load

SUFFIXES = (".txt", ".json")
MAX_TOKENS = 200
TEMPERATURE = 0.8
"""Below 1, at which small models read best."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Texts and what they were written from.

    Args:
        run: The run's ID.
        step: The training steps that its checkpoint holds.
        prompt: What the texts go on from; it is no part of them.
        max_tokens: Tokens of each at most.
        temperature: How much chance there was.
        seed: What decided the draws.
        texts: What the model wrote.
    """

    run: str
    step: int
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
    """Lets a run's language model go on with a prompt.

    Args:
        run: The run's ID or folder.
        out: A file for the texts with their prompts (.txt), or with all that decided them (.json); None for
            no file.
        prompt: What the texts go on from; empty for texts from the beginning of a line.
        num: How many.
        max_tokens: Tokens of each at most.
        temperature: 1 draws by the model's probabilities, less favours the likely; 0 takes the likeliest.
        seed: Decides the draws.
        checkpoint: "best", "last", or a name.

    Raises:
        UsageError: The family writes no texts, the prompt is too long or holds what no token stands for, a
            number is out of range, or `out` has an unknown ending.
    """
    if out is not None and out.suffix not in SUFFIXES:
        raise UsageError(
            "unknown ending", where=out, got=out.suffix or "none", expected=" or ".join(SUFFIXES)
        )
    if not temperature >= 0:
        raise UsageError("no temperature", where="temperature", got=temperature, expected="0 or more")
    loaded = load(run, checkpoint=checkpoint)
    with memory_errors("ask for fewer texts"):
        texts = loaded.write(prompt, num, max_tokens=max_tokens, temperature=temperature, seed=seed)
    made = Writing(
        run=loaded.run.id,
        step=loaded.step,
        prompt=prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        texts=tuple(texts),
    )
    forms: dict[str, Callable[[], str]] = {
        ".txt": lambda: text_sheet(made.whole_texts()),
        ".json": lambda: made.to_json() + "\n",
    }
    if out is not None:
        write_atomic(out, forms[out.suffix]())
    return made
