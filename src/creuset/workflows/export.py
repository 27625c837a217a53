"""A language model with its adapter for other programs: as a folder, a GGUF file, or a PEFT folder.

What is written is opened again and must answer as the model in memory does (evaluation/certificate.py): else
nothing is left of it. The certificate lies beside it: FILE.certificate.json, or certificate.json in a folder.

    safetensors   a folder of Hugging Face's transformers, the adapter merged
    onnx          a folder for onnxruntime and its kin, the adapter merged
    gguf          one file for llama.cpp, the adapter merged
    gguf-lora     the adapter alone, which llama.cpp adds to the base's own GGUF file
    peft          the adapter alone, which PEFT adds to the base
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from creuset.adapters.adapter import taken
from creuset.adapters.switch import merged_state
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.native import Native
from creuset.engines.native_loading import NativeModel, load_native
from creuset.engines.onnx_runtime import OnnxRuntime
from creuset.engines.token_engine import TokenEngine
from creuset.errors import UsageError
from creuset.evaluation.certificate import OWN_TOKENS, Certificate, Kind, LiveModel, certify
from creuset.files import disk_errors, sha256_of_export, sync_file, sync_folder
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.models.tuned import Tuned
from creuset.models.tuning import ADAPTER as TUNED
from creuset.pretrained.base_identity import BaseIdentity
from creuset.pretrained.folder import FORMATS, Pretrained, save_folder
from creuset.pretrained.gguf.lora_writing import write_lora_gguf
from creuset.pretrained.gguf.writing import Stored, write_gguf
from creuset.pretrained.hub_format import write_config
from creuset.pretrained.onnx_writing import PACKAGES, require_decoder, require_onnx, write_onnx_folder
from creuset.pretrained.peft_folder import save_adapter
from creuset.progress import Progress, Silent
from creuset.runs.folder import RunFolder
from creuset.training.base import base_path
from creuset.workflows.adapted import open_adapted
from creuset.workflows.load import load
from creuset.workflows.own_prompts import own_prompts
from creuset.workflows.tuned_model import tuned_text

Target = Literal["safetensors", "onnx", "gguf", "gguf-lora", "peft"]
_FOLDERS: tuple[Target, ...] = ("safetensors", "onnx", "peft")
CERTIFICATE = "certificate.json"
ADAPTER = "exported"
"""What an adapter is called in the model that is exported."""
_PROVEN = "its weights have the hash of those that the adapter was trained on"
_CONTEXT = 512
"""Tokens that an exported model is opened with: the prompts of certificates are short."""


@dataclass(frozen=True, kw_only=True)
class Exportable:
    """A model in memory, ready to be exported.

    Args:
        name: What people call it.
        config: Its form.
        body: The Transformer, with its adapter in use where it has one.
        model: Where it comes from: tokenizer, template and ends.
        model_type: Its family, as config.json names it.
        place: The base's file or folder.
        has_adapter: Whether there is one.
        base_name: What an adapter's folder says that its base is called.
        others: What the adapter trained beside the Transformer, in PEFT's names: a classifier's head.
        adapter_name: What the adapter is called in the model.
        unproven: A sentence where nothing proves that the adapter is of this base.
        own_prompts: What a run asks in its data, as tokens: its answers to these end.
    """

    name: str
    config: TransformerConfig
    body: Transformer
    model: NativeModel
    model_type: str
    place: Path
    has_adapter: bool
    base_name: str
    others: Mapping[str, Tensor] = field(default_factory=dict)
    adapter_name: str = ADAPTER
    unproven: tuple[str, ...] = ()
    own_prompts: tuple[tuple[int, ...], ...] = ()

    @property
    def live(self) -> LiveModel:
        """The model as certificates ask it."""
        return LiveModel(
            body=self.body,
            tokenizer=self.model.tokenizer,
            template=self.model.chat_template,
            eos_ids=self.model.eos_ids,
        )


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written.

    Args:
        path: The file or folder.
        certificate: The proof that it answers as the model.
        certificate_path: Where that lies.
    """

    path: Path
    certificate: Certificate
    certificate_path: Path


def open_exportable(base: str, adapter: Path | None = None) -> Exportable:
    """A base in float32, with an adapter out of a PEFT folder.

    Args:
        base: A model's name, folder or GGUF file.
        adapter: The folder; None for the base alone.

    Raises:
        NotFoundError: There is no such model or folder.
        CheckpointError: The adapter is of another base.
        UsageError, DataError: Something that is not read, or a damaged file.
    """
    opened = open_adapted(base, {} if adapter is None else {ADAPTER: adapter})
    loaded = opened.adapters.get(ADAPTER)
    named = opened.place if adapter is None else adapter
    return Exportable(
        name=named.resolve().name.removesuffix(".gguf"),
        config=opened.config,
        body=opened.body,
        model=opened.model,
        model_type=opened.model_type,
        place=opened.place,
        has_adapter=loaded is not None,
        base_name=base if loaded is None or not loaded.settings.base else loaded.settings.base,
        others={} if loaded is None else loaded.others,
        unproven=opened.unproven,
    )


def exportable_run(run: RunFolder) -> Exportable:
    """The tuned language model of a run in float32, with its adapter where it has one.

    Raises:
        UsageError: The run tunes no language model, or is a reward model, whose scores no format here holds.
        CheckpointError: The base is another one, or the checkpoint is damaged.
    """
    loaded = load(run, precision="float32")
    model = loaded.having("answers_chats", "be exported as a language model")
    assert isinstance(model, Tuned)
    if model.score is not None:
        raise UsageError(
            "a reward model scores answers, and what would be written could not",
            where=run.reference,
            got="a run of --method reward",
            expected="a run that answers: sft, pretrain, dpo, orpo, grpo or ppo",
            next_step=f"learn from its scores: creuset finetune BASE --data FILE --method grpo "
            f"--reward run:{run.id}",
        )
    base = run.manifest().base
    assert base is not None
    place = base_path(base["name"])
    native = tuned_text(loaded, load_native(place, dtype=torch.float32))
    lora = model.form.weights == "lora"
    return Exportable(
        name=run.id,
        config=native.config,
        body=model.body,
        model=native,
        model_type=write_config(native.config, FORMATS)[0].model_type,
        place=place,
        has_adapter=lora,
        base_name=base["name"],
        adapter_name=TUNED,
        own_prompts=own_prompts(run, most=_opened_length(native.config) - OWN_TOKENS),
    )


def export(
    source: Exportable,
    to: Target,
    path: Path,
    *,
    stored: Stored = "q8_0",
    progress: Progress | None = None,
) -> Exported:
    """Writes a model for other programs, and proves that it answers alike.

    Args:
        source: What is exported.
        to: As what, see the head of this file.
        path: The file or folder; it must not exist.
        stored: How a GGUF file stores numbers.
        progress: Is told what is being done.

    Raises:
        UsageError: Something is at the place already, there is no adapter to export by itself, or the format
            cannot say what the model computes.
        GateError: What was written does not answer as the model: nothing is left of it.
        ResourceError: The disk is full.
    """
    watcher = Silent() if progress is None else progress
    if to in ("gguf-lora", "peft") and not source.has_adapter:
        raise UsageError(
            "there is no adapter to export by itself",
            where="--to",
            got=to,
            expected="safetensors, onnx or gguf",
            next_step="name the adapter's folder, --adapter FOLDER, or a run that was tuned by lora",
        )
    if source.others and to != "peft":
        raise UsageError(
            "this adapter trained more than the language model, which this export would lose",
            where="--to",
            got=", ".join(sorted(source.others)[:3]),
            expected="--to peft",
        )
    if to == "onnx":
        require_onnx()
        require_decoder(source.config)
    for remark in source.unproven:
        watcher.say(f"warning: {remark}")
    _require_free(path)
    beside = path.with_name(f"{path.name}.{CERTIFICATE}")
    _require_free(beside)
    is_folder = to in _FOLDERS
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"))
        try:
            place = folder / path.name
            watcher.say(f"writing {to}")
            _write(source, to, place, stored)
            watcher.say("asking the model and what was written the same")
            certificate = _certified(source, to, place, stored)
            certificate.require()
            document = json.dumps(certificate.to_json(), indent=2, allow_nan=False) + "\n"
            own = place / CERTIFICATE if is_folder else folder / beside.name
            own.write_text(document)
            sync_file(own)
            _require_free(path, beside)  # minutes have gone by
            if not is_folder:
                own.replace(beside)  # first: a process that ends in between leaves no file without it
            try:
                place.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
            sync_folder(path.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return Exported(
        path=path,
        certificate=certificate,
        certificate_path=path / CERTIFICATE if is_folder else beside,
    )


def _require_free(*places: Path) -> None:
    for place in places:
        if place.exists():
            raise UsageError(
                "there is something at this place already",
                where=place,
                next_step="name a place that is new",
            )


def _write(source: Exportable, to: Target, place: Path, stored: Stored) -> None:
    tokenizer, template = source.model.tokenizer, source.model.chat_template
    if to == "gguf":
        write_gguf(
            place,
            source.config,
            merged_state(source.body),
            tokenizer,
            chat_template=template,
            stored=stored,
            name=source.name,
            eos_ids=source.model.eos_ids,
        )
    elif to == "safetensors":
        ids = list(source.model.eos_ids)
        save_folder(
            place,
            Pretrained(
                config=source.config,
                state=merged_state(source.body),
                model_type=source.model_type,
                tokenizer=tokenizer,
                generation={"eos_token_id": ids[0] if len(ids) == 1 else ids} if ids else {},
                chat_template=template,
            ),
        )
    elif to == "onnx":
        write_onnx_folder(
            place,
            source.config,
            merged_state(source.body),
            tokenizer=tokenizer,
            chat_template=template,
            eos_ids=source.model.eos_ids,
        )
    elif to == "peft":
        adapter = taken(source.body, source.adapter_name)
        save_adapter(
            place,
            adapter,
            source.model.config,
            source.model_type,
            base=source.base_name,
            identity=None
            if source.unproven
            else BaseIdentity.of(source.base_name, source.place, source.model.weights),
            others=source.others,
            head_apart=not source.config.tied_head,
        )
    else:
        write_lora_gguf(place, taken(source.body, source.adapter_name), source.model.config, name=source.name)


def _certified(source: Exportable, to: Target, place: Path, stored: Stored) -> Certificate:
    kind: Kind = "onnx" if to == "onnx" else "safetensors" if to in _FOLDERS else stored
    with _opened(source, to, place) as engine:
        if to == "gguf-lora":
            kind = "f16"  # its numbers are f32; keys and values are f16
        return certify(
            source.live,
            engine,
            kind=kind,
            sha256=sha256_of_export(place),
            about=_about(source, to),
            own=source.own_prompts,
        )


def _about(source: Exportable, to: Target) -> dict[str, str]:
    """What a certificate is about."""
    others = PACKAGES if to == "onnx" else ("xllamacpp",)
    return {
        "model": source.name,
        "base": source.base_name,
        "to": to,
        **({"base_of_adapter": "; ".join(source.unproven) or _PROVEN} if source.has_adapter else {}),
        "tokenizer": source.model.tokenizer.fingerprint,
        **{name: version(name) for name in ("creuset", "torch", *others)},
    }


def _opened_length(config: TransformerConfig) -> int:
    """Tokens of the context that what was written is opened with."""
    return _CONTEXT if config.context_length is None else min(_CONTEXT, config.context_length)


@contextmanager
def _opened(source: Exportable, to: Target, place: Path) -> Iterator[TokenEngine]:
    """What was written, opened by what will read it; within the block."""
    length = _opened_length(source.config)
    if to == "safetensors":
        with Native.open(place, precision="float32", context_length=length) as engine:
            yield engine
    elif to == "onnx":
        with OnnxRuntime(place, context_length=length) as runtime:
            yield runtime
    elif to == "peft":
        again = open_exportable(str(source.place), place)
        state: dict[str, Tensor] = merged_state(again.body)
        model = replace(again.model, config=again.config, weights=state)
        with Native(model, name="exported", precision="float32", context_length=length) as native:
            yield native
    elif to == "gguf":
        with LlamaCpp(place, context_length=length) as llama:
            yield llama
    else:
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            base = Path(folder) / "base.gguf"
            write_gguf(
                base,
                source.model.config,
                source.model.weights,
                source.model.tokenizer,
                chat_template=source.model.chat_template,
                stored="f32",
                name="base",
                eos_ids=source.model.eos_ids,
            )
            with LlamaCpp(base, context_length=length, adapter=place) as llama:
                yield llama
