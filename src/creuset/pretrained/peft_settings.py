"""adapter_config.json of PEFT's LoRA folders, read strictly and written.

Source: PEFT 0.21, LoraConfig; how names are matched: its check_target_module_exists and get_pattern_key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from creuset.errors import UsageError
from creuset.pretrained.settings import Json, Settings

ADAPTER_CONFIG = "adapter_config.json"

_OFF: Mapping[str, tuple[object, ...]] = {
    "bias": ("none",),
    "lora_bias": (False,),
    **dict.fromkeys(("layers_to_transform", "layers_pattern", "layer_replication"), (None, [])),
    **dict.fromkeys(("trainable_token_indices", "target_parameters", "alora_invocation_tokens"), (None, [])),
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
        targets: Endings of names of modules, or one regular expression for the whole name.
        excluded: The same for modules that are none.
        whole: Endings of names of modules that were trained whole.
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
            settings.only(name, *allowed)
        settings.unused(*_WITHOUT_EFFECT, "task_type", "base_model_name_or_path")
        base = values.get("base_model_name_or_path")
        found = cls(
            rank=_positive(settings, "r", settings.whole("r", 8)),
            alpha=_positive(settings, "lora_alpha", settings.number("lora_alpha", 8.0)),
            dropout=settings.number("lora_dropout", 0.0),
            rank_stabilised=settings.flag("use_rslora", False),
            decomposed=settings.flag("use_dora", False),
            targets=_names(settings, values, "target_modules"),
            excluded=_names(settings, values, "exclude_modules"),
            whole=tuple(settings.words("modules_to_save") or ()),
            rank_pattern=_pattern(settings, values, "rank_pattern"),
            alpha_pattern=_pattern(settings, values, "alpha_pattern"),
            transposed=settings.flag("fan_in_fan_out", False),
            ties_head=settings.flag("ensure_weight_tying", False),
            base=base if isinstance(base, str) else "",
        )
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
            if _matches(name, self.targets) and not _matches(name, self.excluded) and not self._whole(name)
        ]

    def trained_whole(self, modules: Sequence[str]) -> list[str]:
        """The modules among these that were trained whole."""
        return [name for name in modules if self._whole(name)]

    def _whole(self, name: str) -> bool:
        return any(name == one or name.endswith(f".{one}") for one in self.whole)

    def rank_of(self, module: str) -> int:
        """The rank of a module's update."""
        return self.rank_pattern.get(_key(module, self.rank_pattern), self.rank)

    def alpha_of(self, module: str) -> float:
        """The alpha of a module's update."""
        return self.alpha_pattern.get(_key(module, self.alpha_pattern), self.alpha)


def _positive(settings: Settings, name: str, value: Any) -> Any:
    if value <= 0:
        raise settings.refusal(name, "a number above 0")
    return value


def _names(settings: Settings, values: Json, name: str) -> tuple[str, ...] | str:
    value = values.get(name)
    settings.unused(name)
    if value is None:
        return ()
    if isinstance(value, str):
        try:
            re.compile(value)
        except re.error as error:
            raise settings.refusal(name, f"a regular expression ({error})") from error
        return value
    return tuple(settings.words(name) or ())


def _pattern(settings: Settings, values: Json, name: str) -> dict[str, Any]:
    value = values.get(name)
    settings.unused(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise settings.refusal(name, "names with numbers")
    for key, number in value.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or number <= 0:
            raise settings.refusal(name, "numbers above 0")
        try:
            re.compile(str(key))
        except re.error as error:
            raise settings.refusal(name, f"regular expressions ({error})") from error
    return dict(value)


def _matches(module: str, names: tuple[str, ...] | str) -> bool:
    if isinstance(names, str):
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
