"""What a training shows as it goes: samples of the model after a step, a file each under the run's samples/.

A picture sheet where the model draws or encodes pictures, rows of a table as CSV, a text where it is about
texts, chosen by the family's traits: the first of `_SHEETS` that it has. Where none can be made, the file
says why.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch

from creuset.errors import CreusetError
from creuset.files import write_atomic
from creuset.generation import pictures
from creuset.generation.answers import answer_sheet, answers, asking_rows, fast_form
from creuset.generation.continuations import continuations, text_sheet
from creuset.generation.fillings import held_out_passages, passage_sheet
from creuset.generation.sampling import Sampling
from creuset.generation.table_rows import rows_as_csv, to_rows
from creuset.generation.transduction import held_out, pair_sheet
from creuset.models.base import Trait
from creuset.models.encoder_decoder import EncoderDecoder
from creuset.models.language_model import LanguageModel
from creuset.models.masked_language_model import MaskedLanguageModel
from creuset.models.tuned import Tuned
from creuset.reporting.sheet import picture_sheet
from creuset.runs.folder import RunFolder
from creuset.training.session import Session

_PICTURES, _ROWS = 64, 1000
_PAIRS = 4
"""Held-out sources of which is shown what becomes of them."""
_TEXTS, _TEXT_TOKENS, _TEMPERATURE = 2, 200, 0.8
"""How many texts, tokens of each, and a temperature below 1, at which small models read best."""
_ANSWERS, _ANSWER_TOKENS = 3, 64
"""Held-out prompts that are answered, and tokens of an answer."""
_PASSAGES, _GUESSES = 3, 5
"""Passages with masks, and guesses of each mask."""
_HELD_OUT = "validation"

Sheet = Callable[[], str | torch.Tensor]
"""Makes a text, or pictures (N, C, H, W) in [-1, 1]."""


def sample_writer(session: Session, folder: RunFolder) -> Callable[[int], None] | None:
    """What writes the samples of a step; None for a model of which there is nothing to show."""
    sheet = next((make(session) for trait, make in _SHEETS.items() if trait in session.family.traits), None)
    if sheet is None:
        return None

    def write(step: int) -> None:
        _write(session, folder, sheet, "step", step)

    return write


def alarm_sheet(session: Session, folder: RunFolder) -> Callable[[int], str] | None:
    """What writes the samples of a step at which the model collapsed, and returns where below the run; None
    for a model of which there is nothing to show."""
    sheet = next((make(session) for trait, make in _SHEETS.items() if trait in session.family.traits), None)
    if sheet is None:
        return None
    return lambda step: _write(session, folder, sheet, "alarm", step)


def _write(session: Session, folder: RunFolder, sheet: Sheet, name: str, step: int) -> str:
    """Makes a sheet and writes it; returns its place below the run."""
    session.model.eval()
    try:
        shown = sheet()
    except CreusetError as error:  # a training goes on without its samples
        shown = f"no samples of this step\n\n{error}\n"
    session.model.train()
    content: str | bytes
    if isinstance(shown, str):
        ending, content = ("csv" if session.dataset.spec.kind == "table" else "txt"), shown
    else:
        drawn = picture_sheet(pictures.to_pictures(shown), alt=f"step {step}")
        ending, content = "png", drawn.png
    path = folder.samples / f"{name}-{step:08d}.{ending}"
    if session.processes.first:
        write_atomic(path, content)
    return str(path.relative_to(folder.path))


def _texts(session: Session) -> Sheet:
    """Texts without a prompt, one below another."""
    tokenizer, model = session.dataset.tokenizer, session.model
    assert tokenizer is not None
    assert isinstance(model, LanguageModel)
    return lambda: text_sheet(
        continuations(
            model,
            tokenizer,
            "",
            num_texts=_TEXTS,
            max_tokens=_TEXT_TOKENS,
            sampling=Sampling(temperature=_TEMPERATURE, seed=session.recipe.training.seed),
            device=session.processes.device,
        )
    )


def _answers(session: Session) -> Sheet | None:
    """A few held-out prompts, what stands there, and what the model answers."""
    model, dataset = session.model, session.dataset
    assert isinstance(model, Tuned)
    if _HELD_OUT not in dataset.splits:
        return None
    asked = asking_rows(dataset, _HELD_OUT, _ANSWERS)
    if not asked:
        return None
    return lambda: answer_sheet(
        answers(fast_form(model.body.config, model.plain_state()), asked, dataset, max_tokens=_ANSWER_TOKENS)
    )


def _pairs(session: Session) -> Sheet | None:
    """A few held-out sources, what is wanted, and what the model makes of them."""
    model, dataset = session.model, session.dataset
    assert isinstance(model, EncoderDecoder)
    if _HELD_OUT not in dataset.splits:
        return None
    return lambda: pair_sheet(held_out(model, dataset, _HELD_OUT, _PAIRS, device=session.processes.device))


def _passages(session: Session) -> Sheet | None:
    """Held-out passages with masks, and what is put into them."""
    tokenizer, model = session.dataset.tokenizer, session.model
    part = session.dataset.splits.get(_HELD_OUT)
    if part is None:
        return None
    stream = part.stream
    assert tokenizer is not None
    assert stream is not None
    assert isinstance(model, MaskedLanguageModel)
    return lambda: passage_sheet(
        held_out_passages(
            model,
            tokenizer,
            stream,
            num_passages=_PASSAGES,
            num=_GUESSES,
            seed=session.recipe.training.seed,
            device=session.processes.device,
        )
    )


def _drawn(session: Session) -> Sheet:
    """Samples, the same draws at each step."""
    seed, device, spec = session.recipe.training.seed, session.processes.device, session.dataset.spec
    if spec.kind == "table":
        return lambda: rows_as_csv(
            to_rows(pictures.sample(session.model, _ROWS, seed=seed, device=device), spec), spec.feature_names
        )
    dataset = session.dataset
    return lambda: dataset.as_shown(pictures.sample(session.model, _PICTURES, seed=seed, device=device))


def _reconstructions(session: Session) -> Sheet | None:
    """Held-out pictures, each beside what comes back."""
    part = session.dataset.splits.get(_HELD_OUT)
    if part is None:
        return None
    shown = torch.arange(min(_PICTURES // 2, part.num_samples))

    def sheet() -> torch.Tensor:
        originals = session.dataset.batch(_HELD_OUT, shown)["images"]
        copies = pictures.reconstruct(session.model, originals, session.processes.device)
        return torch.stack([originals, copies], dim=1).flatten(0, 1)

    return sheet


_SHEETS: Mapping[Trait, Callable[[Session], Sheet | None]] = MappingProxyType(
    {
        "generates_text": _texts,
        "answers_chats": _answers,
        "transduces_text": _pairs,
        "fills_masks": _passages,
        "samples": _drawn,
        "encodes": _reconstructions,
    }
)
TRAITS_WITH_SAMPLES = frozenset(_SHEETS)
"""Traits of which a training shows something as it goes."""
