"""The tour's chapter on texts: a small Transformer against an LSTM of the same size, and a model that others
trained going on with the same words."""

from collections.abc import Mapping

from creuset.data.dataset import Dataset
from creuset.data.tokenizer import Tokenizer
from creuset.engines.opening import open_engine
from creuset.engines.request import Request
from creuset.errors import BlockedError, DataError, NotFoundError
from creuset.generation.sampling import Sampling
from creuset.progress import Silent
from creuset.reporting.blocks import Block, Chapter, Finding, Passages, Section
from creuset.workflows.attention_maps import attention_blocks
from creuset.workflows.chapters import score_block
from creuset.workflows.compare import compare
from creuset.workflows.comparison_blocks import run_table, verdict_blocks
from creuset.workflows.joint_curves import joint_curves, loss_by_place
from creuset.workflows.journey import Journey
from creuset.workflows.legs import Leg, Station
from creuset.workflows.load import Loaded, load
from creuset.workflows.plan import placed_errors
from creuset.workflows.run_data import load_run_data, run_data

_STEPS = 1200
_SETTINGS = (
    "training.validate_every=100",
    "training.log_every=50",
    f"training.sample_every={_STEPS}",
    f"training.checkpoint_every={_STEPS}",
)
STATIONS = (
    Station(subject="decoder", recipe="decoder-python", num_steps=_STEPS, settings=_SETTINGS, kind="corpus"),
    Station(subject="LSTM", recipe="lstm-python", num_steps=_STEPS, settings=_SETTINGS, kind="corpus"),
)
_OTHERS = "smollm2-135m"
"""A model that others trained, of the starter assets."""
_CHARACTERS, _TOKENS = 300, 70
"""What is written behind the prompt: by the models of characters, and by SmolLM2, whose tokens are longer."""
_TEMPERATURE = 0.8
_LONGEST = 60
"""Characters of a prompt at most."""


def require_plain_text(legs: Mapping[str, Leg]) -> None:
    """Loads the text once, and refuses what the chapter could not compare models on.

    Raises:
        DataError: It is no plain text, or has no test split.
    """
    recipe = legs[STATIONS[0].subject].recipe
    with placed_errors(recipe):
        dataset = load_run_data(recipe.data, Silent())
        if "test" not in dataset.splits:
            raise DataError(
                "a tour measures its models on a test split, and this text has none",
                where="data.test_share",
                got=recipe.data.test_share,
                expected="a share above 0",
            )


def texts(journey: Journey) -> Chapter:
    """What comes next? A decoder and an LSTM, and a language model that others trained."""
    runs = {station.subject: journey.visit(station) for station in STATIONS}
    folders = {subject: run.folder for subject, run in runs.items()}
    documents = {subject: folder.evaluations()["text"] for subject, folder in folders.items()}
    models = {subject: load(folder) for subject, folder in folders.items()}
    names = {folder.reference: subject for subject, folder in folders.items()}
    dataset = run_data(next(iter(folders.values())), Silent())
    found = compare(list(folders.values()), seed=journey.itinerary.seed)
    blocks: list[Block] = [
        *run_table(models, memory=False),
        score_block(documents, "On the test part of the text, which neither model has seen."),
        *verdict_blocks(found, names),
        *joint_curves(folders)[:2],
        loss_by_place(documents),
        Section(title="What they write", blocks=_continued(models, dataset, journey.itinerary.seed)),
    ]
    for subject, model in models.items():
        attention = attention_blocks(model, dataset)
        if attention:
            blocks.append(Section(title=f"What the {subject} looks at", blocks=attention))
    return Chapter(
        title="What comes next? A Transformer against an LSTM on text",
        lead="Two models of the same size learn to continue a text, character by character, by the same "
        "steps: a decoder, which looks back at all that it has read, and an LSTM, which keeps a state of it.",
        blocks=blocks,
    )


def _continued(models: Mapping[str, Loaded], dataset: Dataset, seed: int) -> list[Block]:
    """A prompt from the test part, what stands there behind it, and how each model goes on."""
    assert dataset.tokenizer is not None
    prompt, rest = prompt_of(dataset, dataset.tokenizer)
    written = {"the text itself": rest}
    for subject, model in models.items():
        (written[subject],) = model.write(
            prompt, 1, max_tokens=_CHARACTERS, temperature=_TEMPERATURE, seed=seed
        )
    missing: list[Block] = []
    try:
        written[_OTHERS] = _by_others(prompt, seed)
    except (BlockedError, NotFoundError) as error:
        text = f"No text by {_OTHERS}, a model that others trained on many other texts: {error.message}."
        missing.append(Finding(text=f"{text} It comes with `creuset models pull {_OTHERS}`.", kind="warning"))
    shown = f"“{' '.join(prompt.split())}”"
    caption = f"Behind {shown}: each first text, temperature {_TEMPERATURE}, seed {seed}."
    if not missing:
        caption += (
            f" {_OTHERS} has read much more than the {len(models)} others, and does not know this text."
        )
    return [Passages(texts=written, caption=caption), *missing]


def prompt_of(dataset: Dataset, tokenizer: Tokenizer) -> tuple[str, str]:
    """The beginning of a paragraph of the test part, and what follows it there.

    It is the first long paragraph whose beginning holds nothing that the tokenizer lacks, in whole words that
    fit into three quarters of the context; nothing, where there is none.
    """
    stream = dataset.split("test").stream
    assert stream is not None
    longest = min(_LONGEST, 3 * stream.context // 4)
    for document in stream.documents:
        for paragraph in document.text.split("\n\n"):
            beginning = paragraph[:longest].rsplit(maxsplit=1)[0] if paragraph.strip() else ""
            ids = tokenizer.encode(beginning, add_special=False)
            fits = len(ids) <= longest and tokenizer.special.unk not in ids
            if len(paragraph) > longest and len(beginning) > longest // 2 and fits:
                begin = document.text.index(paragraph) + len(beginning)
                return beginning, document.text[begin : begin + _CHARACTERS]
    return "", stream.documents[0].text[:_CHARACTERS]


def _by_others(prompt: str, seed: int) -> str:
    """How the starter model goes on, through its engine.

    Raises:
        NotFoundError, BlockedError: It is not on this machine.
    """
    with open_engine(_OTHERS) as engine:
        sampling = Sampling(temperature=_TEMPERATURE, seed=seed)
        request = Request(prompt=prompt, max_tokens=_TOKENS, sampling=sampling)
        return engine.complete(request).text
