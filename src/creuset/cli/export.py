"""`creuset export`: a model of texts for other programs, with the proof that it answers alike."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from creuset.cli.console import TerminalProgress, emit_json, json_option, next_step, say

if TYPE_CHECKING:
    from creuset.runs.folder import RunFolder


@click.command("export")
@click.argument("model")
@click.option(
    "--adapter",
    type=click.Path(path_type=Path),
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
    type=click.Path(path_type=Path),
    help="The file or folder to write; it must not exist. Default: a name of the model's, here.",
)
@json_option
def command(
    model: str, adapter: Path | None, target: Any, stored: Any, out: Path | None, as_json: bool
) -> None:
    """Write MODEL, with its adapter, for other programs.

    MODEL is a run of creuset finetune, a name such as smollm2-135m, a GGUF file or a folder. What was written
    is opened again and asked the same as the model in memory: where it answers otherwise nothing is exported,
    and the exit code is 4. The certificate lies beside what was written. A run of a text embedder becomes a
    folder for sentence-transformers.
    """
    from creuset.errors import UsageError
    from creuset.pretrained.onnx_writing import require_onnx
    from creuset.workflows.export import export, exportable_run, open_exportable
    from creuset.workflows.tuned_model import embedder_run, tuned_run

    if stored is not None and target != "gguf":
        raise UsageError(
            "an option without effect: only GGUF files store numbers in several ways",
            where="--stored",
            got=stored,
            expected="--to gguf",
            next_step="leave it out",
        )
    if target == "onnx":
        require_onnx()
    chosen: Any = "q8_0" if stored is None else stored
    progress = TerminalProgress()
    run, embedder = tuned_run(model), embedder_run(model)
    if (run is not None or embedder is not None) and adapter is not None:
        raise UsageError(
            "a run has its own adapter",
            where="--adapter",
            got=adapter,
            next_step="leave it out, or name the base in place of the run",
        )
    if embedder is not None:
        _export_embedder(embedder, target, out, as_json)
        return
    source = open_exportable(model, adapter) if run is None else exportable_run(run)
    endings = {"gguf": f".{chosen}.gguf", "gguf-lora": ".lora.gguf"}
    place = Path(f"{source.name}{endings.get(target, f'-{target}')}") if out is None else out
    done = export(source, target, place, stored=chosen, progress=progress)
    found = done.certificate
    if as_json:
        emit_json({"path": str(done.path), "certificate": found.to_json()})
    else:
        say(f"{done.path}")
        say(f"certificate  {done.certificate_path}")
        say(f"prompts      {found.num_prompts}, the same tokens; {found.num_places} places compared")
        say(f"difference   {found.largest_difference:.2g} nats at most, of the 20 likeliest tokens")
        say(f"divergence   {found.mean_divergence:.2g} nats on average")
        say(f"endings      {found.num_same_ends} of {found.num_ends} where the model surely ends")
    if target in ("gguf", "safetensors"):
        next_step(f"creuset chat {done.path}")


def _export_embedder(run: "RunFolder", target: str, out: Path | None, as_json: bool) -> None:
    """The run's text embedder as a folder for sentence-transformers."""
    from creuset.errors import UsageError
    from creuset.workflows.embed import CERTIFICATE, export_embedder
    from creuset.workflows.load import load

    if target != "safetensors":
        raise UsageError(
            "a text embedder is exported as a folder alone",
            where="--to",
            got=target,
            expected="safetensors",
        )
    place = Path(f"{run.id}-{target}") if out is None else out
    found = export_embedder(load(run), place)
    if as_json:
        emit_json({"path": str(place), "certificate": found.to_json()})
        return
    say(f"{place}")
    say(f"certificate  {place / CERTIFICATE}")
    say(
        f"texts        {found.num_texts}, each with the vector of the model: a cosine of "
        f"{found.least_cosine:.7f} at least"
    )
    say(f"reads        {found.max_tokens} tokens of a text; a vector has {found.num_features} numbers")
    next_step(f"python -c \"from sentence_transformers import SentenceTransformer as S; S('{place}')\"")
