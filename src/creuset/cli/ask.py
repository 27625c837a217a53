"""`creuset ask`: questions to an index, answered with proved citations."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from creuset.cli.console import emit_json, if_it_is_there, json_option, next_step, note, say, shown

if TYPE_CHECKING:
    from creuset.workflows.asking import Answer

_PUBLIC = "public"
_MODEL = "smollm2-135m"
_SHOWN_QUOTE = 160
_NEAREST = 3
"""Passages that are shown where the sources do not say."""


@click.command("ask")
@click.argument("question", required=False)
@click.option("--index", "name", default="manual", show_default=True, help="The index that is asked.")
@click.option(
    "--as",
    "groups",
    multiple=True,
    metavar="GROUP",
    help=f"Who asks; again for further groups. Default: {_PUBLIC}.",
)
@click.option("--model", help=f"What writes answers: a name, a GGUF file, a run. Default: {_MODEL}.")
@click.option("--extract", is_flag=True, help="Take sentences of the documents, without a model.")
@click.option(
    "--mode",
    type=click.Choice(["strict", "mark", "free"]),
    default="strict",
    show_default=True,
    help="Sentences that nothing supports are withheld, marked, or shown.",
)
@click.option("--interactive", is_flag=True, help="Go on asking; each line is a question.")
@click.option("--require-citation", is_flag=True, help="Exit 4 where the sources do not say.")
@click.option("--replay", type=click.IntRange(min=1), metavar="ID", help="Give an old answer again.")
@click.option("--language", type=click.Choice(["en", "fr"]), help="Only documents in this language.")
@click.option("--under", default="", metavar="PREFIX", help="Only documents whose names begin so.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Decides what is drawn."
)
@json_option
def command(
    question: str | None,
    name: str,
    groups: tuple[str, ...],
    model: str | None,
    extract: bool,
    mode: Any,
    interactive: bool,
    require_citation: bool,
    replay: int | None,
    language: str | None,
    under: str,
    seed: int,
    as_json: bool,
) -> None:
    """Ask an index. Each sentence of the answer cites the place that proves it; else the sources do not say.

    An answer is kept under its number: --replay gives it again, from the same passages, model and seed.
    """
    from dataclasses import replace

    from creuset.errors import GateError, UsageError
    from creuset.knowledge.records import Filter
    from creuset.workflows.asking import Answer, answer_settings, ask
    from creuset.workflows.asking import replay as give_again
    from creuset.workflows.index import Index
    from creuset.workflows.index_opening import as_access

    if (question is None) == (replay is None and not interactive):
        raise UsageError(
            "one of a question, --interactive and --replay ID is asked for",
            next_step=f'creuset ask "your question" --index {name}',
        )
    if not groups:
        note(f"asked as: {_PUBLIC} (others by --as GROUP)")
    access = as_access(groups or (_PUBLIC,))
    where = Filter(language=language or "", path_prefix=under)
    with Index(name) as index, _engine(model, extract=extract) as (engine, sha256):
        settings = replace(answer_settings(index), mode=mode, seed=seed)
        if replay is not None:
            record = give_again(index, replay, access=access, engine=engine, sha256=sha256)
            _show(Answer(record=record, hits=()), name, as_json=as_json)
            return
        conversation: list[tuple[str, str]] = []
        refused = False
        for line in [question] if question is not None else _lines():
            found = ask(
                index,
                line,
                access=access,
                engine=engine,
                sha256=sha256,
                settings=settings,
                where=where,
                conversation=conversation,
            )
            _show(found, name, as_json=as_json)
            conversation += [("user", line), ("assistant", found.text)]
            refused = refused or found.refused
        if require_citation and refused:
            raise GateError("the sources do not say", where=name, next_step="ask otherwise, or add documents")
    next_step(f"creuset index list {name}")


@contextmanager
def _engine(model: str | None, *, extract: bool) -> Iterator[tuple[Any, str]]:
    """The model that writes and the hash of its weights; none where sentences are taken, or none is there."""
    from creuset.assets import resolve
    from creuset.errors import BlockedError, NotFoundError, UsageError
    from creuset.workflows.answer_model import sha256_of_model
    from creuset.workflows.tuned_model import open_chat_engine

    if extract:
        if model is not None:
            raise UsageError(
                "--model would have no effect beside --extract", next_step="leave one of them out"
            )
        yield None, ""
        return
    if model is None:
        try:
            resolve(_MODEL)
        except (BlockedError, NotFoundError):
            note(f"no model is here: sentences of the documents are taken (creuset models pull {_MODEL})")
            yield None, ""
            return
    chosen = _MODEL if model is None else model
    with open_chat_engine(chosen) as engine:
        yield engine, sha256_of_model(chosen)


def _lines() -> Iterator[str]:
    while True:
        if sys.stdin.isatty():
            with if_it_is_there(2):
                click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line or line.strip() == "/exit":
            return
        if line.strip():
            yield line.strip()


def _show(answer: "Answer", name: str, *, as_json: bool) -> None:
    record = answer.record
    if as_json:
        emit_json(
            {
                "index": name,
                "answer": answer.text,
                "refused": answer.refused,
                "supported": answer.supported,
                **{
                    key: value for key, value in asdict(record).items() if key not in ("access", "is_refused")
                },
                "access": sorted(record.access),
                "passages": [
                    {**asdict(hit), "chunk": {**asdict(hit.chunk), "text": hit.chunk.text}}
                    for hit in answer.hits
                ],
            }
        )
        return
    if record.asked != record.question:
        note(f"searched for: {record.asked}")
    if answer.refused:
        say(shown(answer.text))
        for hit in answer.hits[:_NEAREST]:
            say(shown(f"  near: {_place(hit.chunk.path, hit.chunk.page)}: {_short(hit.chunk.text)}"))
    else:
        number, notes = 0, []
        for sentence in record.sentences:
            marks = ""
            for each in sentence.citations:
                number += 1
                marks += f" [{number}]"
                notes.append(
                    f"  [{number}] {_place(each.path, each.page)}, characters {each.start}-{each.end}: "
                    f"{_short(each.quote)}"
                )
            say(shown(f"{sentence.text}{marks or ' [nothing supports this]'}"))
        for line in notes:
            say(shown(line))
    if record.num_withheld:
        note(f"{record.num_withheld} sentences that nothing supports were withheld (--mode mark shows them)")
    if record.left_out and record.origin == "generated":
        note(f"{len(record.left_out)} passages that were found were not read by the model")
    told = "taken from the documents" if record.origin == "extracted" else f"written by {record.model}"
    note(f"answer {record.id}, {'refused' if answer.refused else told}, confidence {record.confidence:.2f}")


def _place(path: str, page: int | None) -> str:
    return path if page is None else f"{path}, page {page}"


def _short(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= _SHOWN_QUOTE else f"{joined[:_SHOWN_QUOTE]}…"
