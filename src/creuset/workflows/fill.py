"""`creuset generate RUN --prompt` for a model that fills masks: what it puts into those of a prompt."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from creuset.device import memory_errors
from creuset.errors import NotFoundError
from creuset.files import write_atomic
from creuset.generation.fillings import Filling, quoted
from creuset.models import family
from creuset.workflows.load import find_run, load, run_recipe
from creuset.workflows.write import require_suffix

GUESSES = 5


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A prompt and what a model puts into its masks.

    Args:
        run: The run's ID.
        step: The training steps that its checkpoint holds.
        prompt: With its masks.
        masks: Of each mask, in order, the likeliest tokens.
    """

    run: str
    step: int
    prompt: str
    masks: tuple[Filling, ...]

    def to_json(self) -> str:
        """With the version of this form."""
        masks = [[asdict(guess) for guess in filling.guesses] for filling in self.masks]
        document = {"format": 1, "run": self.run, "step": self.step, "prompt": self.prompt, "masks": masks}
        return json.dumps(document, indent=2, ensure_ascii=False)

    def to_text(self) -> str:
        """The prompt, and below it a line for each guess."""
        lines = [self.prompt]
        for number, filling in enumerate(self.masks, 1):
            if len(self.masks) > 1:
                lines.append(f"mask {number}")
            lines += [f"  {guess.probability:.3f}  {quoted(guess.token)}" for guess in filling.guesses]
        return "\n".join(lines)


def fills_masks(run: str | Path) -> bool:
    """Whether a name stands for a run whose model fills masks."""
    try:
        found = find_run(run)
    except NotFoundError:
        return False
    return "fills_masks" in family(run_recipe(found).model.family).traits


def fill(
    run: str | Path,
    out: Path | None = None,
    *,
    prompt: str,
    num: int = GUESSES,
    checkpoint: str = "best",
) -> Filled:
    """Lets the model of a run fill the masks of a prompt.

    Args:
        run: The run's ID or folder.
        out: A file for the prompt and the guesses as a text (.txt), or with their probabilities (.json);
            None for no file.
        prompt: With [MASK], or the tokenizer's own mask token, in place of each token to be guessed.
        num: Guesses of each mask.
        checkpoint: "best", "last", or a name.

    Raises:
        NotFoundError: There is no such run.
        UsageError: The family fills no masks, the prompt has none, is too long or holds what no token stands
            for, `num` is below 1, or `out` has an unknown ending.
    """
    if out is not None:
        require_suffix(out)
    loaded = load(run, checkpoint=checkpoint)
    with memory_errors("shorten the prompt"):
        masks = loaded.fill(prompt, num)
    made = Filled(run=loaded.run.id, step=loaded.step, prompt=prompt, masks=masks)
    if out is not None:
        write_atomic(out, f"{made.to_json() if out.suffix == '.json' else made.to_text()}\n")
    return made
