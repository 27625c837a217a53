"""adapter_config.json of PEFT's LoRA folders, read strictly and written.

Source: PEFT 0.21, LoraConfig; how names are matched: its check_target_module_exists and get_pattern_key.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from creuset.errors import UsageError
from creuset.pretrained.settings import Json, Settings

Number = TypeVar("Number", int, float)
ADAPTER_CONFIG = "adapter_config.json"

MERGE = (
    "merge it by PEFT, PeftModel.from_pretrained(base, FOLDER).merge_and_unload().save_pretrained(NEW), "
    "and name the folder NEW in the place of the base"
)
_OFF: Mapping[str, tuple[object, ...]] = {
    "bias": ("none",),
    "lora_bias": (False,),
    **dict.fromkeys(("layer_replication", "trainable_token_indices"), (None, [])),
    **dict.fromkeys(("target_parameters", "alora_invocation_tokens"), (None, [])),
    **dict.fromkeys(("eva_config", "corda_config", "lora_ga_config", "velora_config"), (None, {})),
    **dict.fromkeys(("loftq_config", "monteclora_config", "use_bdlora", "arrow_config"), (None, {})),
    **dict.fromkeys(("kasa_config", "megatron_config"), (None, {})),
    "use_qalora": (False,),
}
"""Settings that change what is computed or which tensors there are, with the values that switch them off."""
_WITHOUT_EFFECT = (
    *("auto_mapping", "peft_version", "revision", "inference_mode", "megatron_core", "qalora_group_size"),
    "runtime_config",
)
_FIRST_WEIGHTS = (True, False, "gaussian", "orthogonal")
"""Values of init_lora_weights that leave the base as it is. Others (pissa, olora, loftq, ...) train against a
base that they have changed, which the folder does not hold."""
ALL_LINEAR = "all-linear"
"""In the place of targets: every linear layer but the head."""
_TASKS = {"decoder": "CAUSAL_LM", "encoder_decoder": "SEQ_2_SEQ_LM", "classifier": "SEQ_CLS"}


@dataclass(frozen=True, kw_only=True)
class PeftSettings:
    """What an adapter_config.json says.

    Args:
        rank: Of updates that `rank_pattern` does not name.
        alpha: Likewise.
        dropout: In training.
        rank_stabilised: Whether scales are alpha / sqrt(rank).
        decomposed: Whether updates are DoRA's.
        targets: Endings of names of modules, one regular expression for the whole name, or "all-linear".
        excluded: The same for modules that are none.
        layers: Numbers of the layers to which the targets are held; None for all.
        layers_pattern: Names of what is numbered, as regular expressions; none for any.
        whole: How names of modules end that were trained whole, with all that is within them.
        rank_pattern: Endings, as regular expressions, to other ranks.
        alpha_pattern: The same for alpha.
        transposed: Whether the base stores weights as (in, out), as GPT-2's folders do.
        ties_head: Whether a head that shares the embedding's weights follows when these are trained whole.
        base: The name of the base, or "".
    """

    rank: int
    alpha: float
    dropout: float = 0.0
    rank_stabilised: bool = False
    decomposed: bool = False
    targets: tuple[str, ...] | str = ()
    excluded: tuple[str, ...] | str = ()
    layers: tuple[int, ...] | None = None
    layers_pattern: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    transposed: bool = False
    ties_head: bool = False
    base: str = ""

    @classmethod
    def read(cls, values: Json) -> "PeftSettings":
        """From the file's content.

        Raises:
            UsageError: Another method than LoRA, a setting that is not known, or a value that is not
                supported.
        """
        settings = Settings(values, where=ADAPTER_CONFIG)
        settings.choice("peft_type", {"LORA": "LORA"})
        settings.only("init_lora_weights", *_FIRST_WEIGHTS)
        for name, allowed in _OFF.items():
            _require_off(settings, name, allowed)
        settings.unused(*_WITHOUT_EFFECT, "task_type", "base_model_name_or_path")
        base = values.get("base_model_name_or_path")
        found = cls(
            rank=_positive(settings, "r", settings.whole("r", 8)),
            alpha=_positive(settings, "lora_alpha", settings.number("lora_alpha", 8.0)),
            dropout=_share(settings, "lora_dropout"),
            rank_stabilised=settings.flag("use_rslora", False),
            decomposed=settings.flag("use_dora", False),
            targets=_names(settings, values, "target_modules"),
            excluded=_names(settings, values, "exclude_modules"),
            layers=_layers(settings, values),
            layers_pattern=_layers_pattern(settings, values),
            whole=tuple(word for word in settings.words("modules_to_save") or () if word),
            rank_pattern=_pattern(settings, "rank_pattern", Settings.whole),
            alpha_pattern=_pattern(settings, "alpha_pattern", Settings.number),
            transposed=settings.flag("fan_in_fan_out", False),
            ties_head=settings.flag("ensure_weight_tying", False),
            base=base if isinstance(base, str) else "",
        )
        if found.layers is not None and isinstance(found.targets, str):
            raise settings.refusal("layers_to_transform", "none, where target_modules is one text")
        settings.finish()
        return found

    def written(self, architecture: str) -> dict[str, Any]:
        """The file's content.

        Args:
            architecture: That of the base, as TransformerConfig names it, or "classifier".
        """
        targets = self.targets if isinstance(self.targets, str) else sorted(self.targets)
        return {
            "peft_type": "LORA",
            "task_type": _TASKS.get(architecture, "FEATURE_EXTRACTION"),
            "base_model_name_or_path": self.base or None,
            "inference_mode": True,
            "r": self.rank,
            "lora_alpha": int(self.alpha) if self.alpha == int(self.alpha) else self.alpha,
            "lora_dropout": self.dropout,
            "use_rslora": self.rank_stabilised,
            "use_dora": self.decomposed,
            "target_modules": targets,
            "modules_to_save": sorted(self.whole) or None,
            "rank_pattern": dict(self.rank_pattern),
            "alpha_pattern": dict(self.alpha_pattern),
            "fan_in_fan_out": self.transposed,
            "bias": "none",
            "init_lora_weights": True,
        }

    def targeted(self, modules: Sequence[str]) -> list[str]:
        """The modules among these that have an update."""
        return [
            name
            for name in modules
            if _matches(name, self.targets)
            and self._in_layers(name)
            and not _matches(name, self.excluded)
            and not any(f".{one}." in f".{name}." for one in self.whole)
        ]

    def trained_whole(self, module: str) -> bool:
        """Whether a module was trained whole, by itself or within another one.

        "norm" stands for every module whose name ends so, such as input_layernorm: PEFT looks for no dot.
        """
        parts = module.split(".")
        owners = (".".join(parts[: end + 1]) for end in range(len(parts)))
        return bool(self.whole) and any(owner.endswith(self.whole) for owner in owners)

    def _in_layers(self, module: str) -> bool:
        if self.layers is None:
            return True
        patterns = [rf"(?:^|.*?\.){one}" for one in self.layers_pattern] or [r".*?\.[^.]*"]
        found = (re.match(rf"{one}\.(?P<number>\d+)\.", module) for one in patterns)
        number = next((match["number"] for match in found if match is not None), None)
        return number is not None and int(number) in self.layers

    def rank_of(self, module: str) -> int:
        """The rank of a module's update."""
        return self.rank_pattern.get(_key(module, self.rank_pattern), self.rank)

    def alpha_of(self, module: str) -> float:
        """The alpha of a module's update."""
        return self.alpha_pattern.get(_key(module, self.alpha_pattern), self.alpha)


def _require_off(settings: Settings, name: str, allowed: Sequence[object]) -> None:
    """`Settings.only`, where a way round is known."""
    try:
        settings.only(name, *allowed)
    except UsageError as error:
        error.next_step = MERGE
        raise


def _positive(settings: Settings, name: str, value: Number) -> Number:
    if value <= 0:
        raise settings.refusal(name, "a number above 0")
    return value


def _names(settings: Settings, values: Json, name: str) -> tuple[str, ...] | str:
    value = values.get(name)
    settings.unused(name)
    if value is None:
        return ()
    if isinstance(value, str):
        _require_expression(settings, name, value)
        return value
    return tuple(settings.words(name) or ())


def _share(settings: Settings, name: str) -> float:
    value = settings.number(name, 0.0)
    if not 0 <= value < 1:
        raise settings.refusal(name, "a number from 0, below 1")
    return value


def _layers(settings: Settings, values: Json) -> tuple[int, ...] | None:
    name = "layers_to_transform"
    value = values.get(name)
    settings.unused(name)
    numbers = [value] if isinstance(value, int) else value
    if numbers is None or numbers == []:
        return None
    if not isinstance(numbers, list) or not all(type(one) is int for one in numbers):
        raise settings.refusal(name, "numbers of layers")
    return tuple(numbers)


def _layers_pattern(settings: Settings, values: Json) -> tuple[str, ...]:
    found = _names(settings, values, "layers_pattern")
    patterns = tuple(one for one in ((found,) if isinstance(found, str) else found) if one)
    for pattern in patterns:
        _require_expression(settings, "layers_pattern", pattern)
    return patterns


def _pattern(settings: Settings, name: str, read: Callable[[Settings, str], Number]) -> dict[str, Number]:
    section = settings.section(name)
    if section is None:
        return {}
    found = {key: _positive(section, key, read(section, key)) for key in section.names}
    for key in found:
        _require_expression(settings, name, key)
    return found


def _require_expression(settings: Settings, name: str, text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise settings.refusal(name, f"regular expressions ({error})") from error


def _matches(module: str, names: tuple[str, ...] | str) -> bool:
    if isinstance(names, str):
        if names.lower() == ALL_LINEAR:
            return True
        return re.fullmatch(names, module) is not None
    return any(module == one or module.endswith(f".{one}") for one in names)


def _key(module: str, pattern: Mapping[str, object]) -> str:
    return next((key for key in pattern if re.match(rf"(.*\.)?({key})$", module)), "")


def require_targets(settings: PeftSettings, modules: Sequence[str]) -> list[str]:
    """The modules that have an update.

    Raises:
        UsageError: No module of the base matches.
    """
    found = settings.targeted(modules)
    if not found:
        endings = sorted({name.rpartition(".")[2] for name in modules})
        raise UsageError(
            "no layer of this base is among the adapter's targets",
            where=f"{ADAPTER_CONFIG}: target_modules",
            got=settings.targets,
            expected=f"endings such as {', '.join(endings[:8])}",
            next_step="load it on the base that it was trained on",
        )
    return found
