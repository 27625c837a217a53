"""`creuset export`: a model of texts for other programs, with the proof that it answers alike."""

from pathlib import Path
from typing import Any

import click

from creuset.cli.console import TerminalProgress, emit_json, json_option, next_step, say
from creuset.errors import UsageError


@click.command("export")
@click.argument("model")
@click.option(
    "--adapter",
    "adapters",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FOLDER",
    help="A PEFT folder of low-rank updates of MODEL, which are merged, or exported by themselves.",
)
@click.option(
    "--to",
    "target",
    required=True,
    type=click.Choice(["safetensors", "onnx", "gguf", "gguf-lora", "peft"]),
    help="A folder for transformers or onnxruntime, a file for llama.cpp, or the adapter alone for "
    "llama.cpp or PEFT.",
)
@click.option(
    "--stored",
    type=click.Choice(["f32", "f16", "q8_0", "q4_0", "q4_1"]),
    default=None,
    help="How a GGUF file stores numbers; default: q8_0.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="The file or folder to write, which must not exist; of a GGUF file also the folder that it is to "
    "lie in, with / at its end. Default: a name of the model's, here.",
)
@json_option
def command(
    model: str, adapters: tuple[Path, ...], target: Any, stored: Any, out: str | None, as_json: bool
) -> None:
    """Write MODEL, with its adapter, for other programs.

    MODEL is a run of creuset finetune, a name such as smollm2-135m, a GGUF file or a folder. What was written
    is opened again and asked the same as the model in memory: where it answers otherwise nothing is exported,
    and the exit code is 4. The certificate lies beside what was written. A run of a text embedder becomes a
    folder for sentence-transformers.
    """
    from creuset.workflows.export_verb import export

    if len(adapters) > 1:
        raise UsageError(
            "one adapter is exported at a time",
            where="--adapter",
            got=", ".join(map(str, adapters)),
            next_step="export with one --to safetensors, and name that folder as the MODEL of the next",
        )
    adapter = adapters[0] if adapters else None
    progress = TerminalProgress()
    done = export(model, to=target, path=out, adapter=adapter, stored=stored, progress=progress)
    certificate = done.certificate.to_json()
    if as_json:
        emit_json({"path": str(done.path), "certificate": certificate})
    else:
        say(f"{done.path}")
        say(f"certificate  {done.certificate_path}")
        for line in _told(certificate):
            say(line)
    if "least_cosine" in certificate:
        words = f"from sentence_transformers import SentenceTransformer as S; S('{done.path}')"
        next_step(f'python -c "{words}"')
    elif target in ("gguf", "safetensors") and certificate["kind"] != "classifier":
        next_step(f"creuset chat {done.path}")


def _told(certificate: dict[str, Any]) -> list[str]:
    """What a certificate says, for people."""
    if "least_cosine" in certificate:
        return [
            f"texts        {certificate['num_texts']}, each with the vector of the model: a cosine of "
            f"{certificate['least_cosine']:.7f} at least",
            f"reads        {certificate['max_tokens']} tokens of a text; a vector has "
            f"{certificate['num_features']} numbers",
        ]
    if certificate["kind"] == "classifier":
        return [
            f"texts        {certificate['num_texts']}, the same tokens; "
            f"{certificate['num_own_texts']} of them held out by the run",
            f"difference   {certificate['largest_difference']:.2g} at most, of a score of a class",
        ]
    from creuset.evaluation.certificate import told_of_ends

    number = certificate["num_own_prompts"]
    own = f", {number} of them the run's own" if number else ""
    places = certificate["num_places"]
    return [
        f"prompts      {certificate['num_prompts']}{own}, the same tokens; {places} places compared",
        f"difference   {certificate['largest_difference']:.2g} nats at most, of the 20 likeliest tokens",
        f"divergence   {certificate['mean_divergence']:.2g} nats on average",
        f"endings      {told_of_ends(certificate)}",
    ]
