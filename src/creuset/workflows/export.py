"""A language model with its adapter for other programs: as a folder, a GGUF file, or a PEFT folder.

What is written is opened again and must answer as the model in memory does (evaluation/certificate.py): else
nothing is left of it. The certificate lies beside it: FILE.certificate.json, or certificate.json in a folder.

    safetensors   a folder of Hugging Face's transformers, the adapter merged
    gguf          one file for llama.cpp, the adapter merged
    gguf-lora     the adapter alone, which llama.cpp adds to the base's own GGUF file
    peft          the adapter alone, which PEFT adds to the base
"""

import hashlib
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

from creuset.adapters.adapter import given, taken
from creuset.adapters.switch import merged_state
from creuset.assets import resolve
from creuset.engines.llamacpp import LlamaCpp
from creuset.engines.native import Native
from creuset.engines.native_loading import NativeModel, load_native
from creuset.engines.token_engine import TokenEngine
from creuset.errors import UsageError
from creuset.evaluation.certificate import Certificate, Kind, LiveModel, certify
from creuset.files import disk_errors, sha256_of, sync_file, sync_folder
from creuset.models.transformer import Transformer
from creuset.models.transformer_config import TransformerConfig
from creuset.models.tuned import Tuned
from creuset.models.tuning import ADAPTER as TUNED
from creuset.pretrained.folder import FORMATS, Pretrained, save_folder
from creuset.pretrained.gguf.lora_writing import write_lora_gguf
from creuset.pretrained.gguf.writing import Stored, write_gguf
from creuset.pretrained.hub_format import write_config
from creuset.pretrained.peft_folder import load_adapter, save_adapter, with_own_head
from creuset.progress import Progress, Silent
from creuset.runs.folder import RunFolder
from creuset.training.base import base_path
from creuset.workflows.load import load
from creuset.workflows.tuned_model import tuned_text

Target = Literal["safetensors", "gguf", "gguf-lora", "peft"]
CERTIFICATE = "certificate.json"
ADAPTER = "exported"
"""What an adapter is called in the model that is exported."""
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
        UsageError, CheckpointError, DataError: The adapter is of another base, or a file is damaged.
    """
    path = Path(base).expanduser()
    if not path.exists():
        found = resolve(base)
        path = found.path if found.file is None else found.file
    model = load_native(path, dtype=torch.float32)
    model_type = write_config(model.config, FORMATS)[0].model_type
    config, weights = model.config, dict(model.weights)
    loaded = None if adapter is None else load_adapter(adapter, config, model_type)
    if loaded is not None:
        config, weights = with_own_head(loaded, config, weights)
    body = Transformer.from_weights(config, weights)
    if loaded is not None:
        given(body, loaded.adapter, ADAPTER)
    named = path if adapter is None else adapter
    return Exportable(
        name=named.resolve().name.removesuffix(".gguf"),
        config=config,
        body=body,
        model=model,
        model_type=model_type,
        place=path,
        has_adapter=loaded is not None,
        base_name=base if loaded is None or not loaded.settings.base else loaded.settings.base,
        others={} if loaded is None else loaded.others,
    )


def exportable_run(run: RunFolder) -> Exportable:
    """The tuned language model of a run in float32, with its adapter where it has one.

    Raises:
        UsageError: The run tunes no language model.
        CheckpointError: The base is another one, or the checkpoint is damaged.
    """
    loaded = load(run, precision="float32")
    model = loaded.having("answers_chats", "be exported as a language model")
    assert isinstance(model, Tuned)
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
            expected="safetensors or gguf",
            next_step="name the adapter's folder, --adapter FOLDER, or a run that was tuned by lora",
        )
    if source.others and to != "peft":
        raise UsageError(
            "this adapter trained more than the language model, which this export would lose",
            where="--to",
            got=", ".join(sorted(source.others)[:3]),
            expected="--to peft",
        )
    beside = path.with_name(f"{path.name}.{CERTIFICATE}")
    _require_free(path, beside)
    is_folder = to in ("safetensors", "peft")
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
            place.replace(path)
            if not is_folder:
                own.replace(beside)
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
    elif to == "peft":
        adapter = taken(source.body, source.adapter_name)
        save_adapter(
            place,
            adapter,
            source.model.config,
            source.model_type,
            base=source.base_name,
            others=source.others,
        )
    else:
        write_lora_gguf(place, taken(source.body, source.adapter_name), source.model.config, name=source.name)


def _certified(source: Exportable, to: Target, place: Path, stored: Stored) -> Certificate:
    kind: Kind = "safetensors" if to in ("safetensors", "peft") else stored
    with _opened(source, to, place) as engine:
        if to == "gguf-lora":
            kind = "f16"  # its numbers are f32; keys and values are f16
        return certify(source.live, engine, kind=kind, sha256=_sha256(place), about=_about(source, to))


def _about(source: Exportable, to: Target) -> dict[str, str]:
    """What a certificate is about."""
    return {
        "model": source.name,
        "base": source.base_name,
        "to": to,
        "tokenizer": source.model.tokenizer.fingerprint,
        **{name: version(name) for name in ("creuset", "torch", "xllamacpp")},
    }


@contextmanager
def _opened(source: Exportable, to: Target, place: Path) -> Iterator[TokenEngine]:
    """What was written, opened by what will read it; within the block."""
    limit = source.config.context_length
    length = _CONTEXT if limit is None else min(_CONTEXT, limit)
    if to == "safetensors":
        with Native.open(place, precision="float32", context_length=length) as engine:
            yield engine
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


def _sha256(place: Path) -> str:
    """Of a file; of a folder with one file of weights, of that; of several, of sha256sum's list of them."""
    if not place.is_dir():
        return sha256_of(place)
    shards = sorted(place.glob("*.safetensors"))
    if len(shards) == 1:
        return sha256_of(shards[0])
    told = "".join(f"{sha256_of(shard)}  {shard.name}\n" for shard in shards)
    return hashlib.sha256(told.encode()).hexdigest()
