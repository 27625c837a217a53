"""What pydantic finds wrong with a section, as places in the recipe and plain words."""

import math
import re
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from creuset.errors import Problem, did_you_mean, nearest
from creuset.recipe.composer import parse_scalar
from creuset.recipe.section import Section
from creuset.recipe.sections import FamilyConfig
from creuset.recipe.tree import Entry, Node, Place, quoted

_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a text",
    "bool_type": "true or false",
    "none_required": "null",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys",
    "mapping_type": "keys",
    "model_type": "keys",
}
"""pydantic's error -> what was expected instead"""

_LIMITS = {
    "greater_than_equal": ("must be at least", "ge"),
    "greater_than": ("must be greater than", "gt"),
    "less_than_equal": ("must be at most", "le"),
    "less_than": ("must be less than", "lt"),
    "multiple_of": ("must be a multiple of", "multiple_of"),
}
"""pydantic's error -> the sentence, and where its number stands"""

_YES = frozenset({"yes", "on", "y", "1"})
_NO = frozenset({"no", "off", "n", "0"})

Steps = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A section in the recipe.

    Args:
        model: What the section must be.
        node: What is written.
        path: Its dotted name.
        place: Where its key stands, or the beginning of the recipe where it is left out.
        homes: Keys of the whole recipe -> where they belong, to find keys in a wrong place.
    """

    model: type[Section]
    node: Node
    path: str
    place: Place
    homes: Mapping[str, str]


@dataclass(kw_only=True)
class _Finding:
    """What is wrong with one value: the forms that were expected, the limits that it breaks."""

    node: Node
    kinds: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)


def explain(error: ValidationError, site: Site) -> list[Problem]:
    """Each error of a section as a problem; the branches of a union become one sentence."""
    problems: list[Problem] = []
    findings: dict[Steps, _Finding] = {}
    for detail in error.errors(include_url=False):
        steps, node, place = _walk(site, detail["loc"])
        name = detail["loc"][-1] if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            problems.append(place.problem(_unknown_key(site, steps)))
        elif detail["type"] == "missing" and isinstance(name, str):
            problems.append(place.problem(_missing_key(site, steps, name)))
        elif detail["type"] in ("value_error", "assertion_error"):
            problems.append(_refused(site, steps, node, place, str(detail["ctx"]["error"])))
        else:
            _add(findings.setdefault(steps, _Finding(node=node)), detail)
    for steps, finding in findings.items():
        # In a union such as "a number or a list", errors inside the list say more than "expected a number".
        if not any(len(other) > len(steps) and other[: len(steps)] == steps for other in findings):
            problems.append(finding.node.place.problem(_sentence(site, steps, finding)))
    return problems


def expected(path: str, phrase: str, node: Node) -> Problem:
    """`path: expected phrase, got ...` at the value."""
    return node.place.problem(f"{path}: expected {phrase}, got {node.shown()}{_hint([phrase], node)}")


def _walk(site: Site, loc: Iterable[str | int]) -> tuple[Steps, Node, Place]:
    """The keys and indexes of `loc` that are written, the value there and the place of its key.

    What is not written is left out: a missing key, or the name that pydantic gives to a union's branch.
    """
    steps: list[str | int] = []
    node, place = site.node, site.place
    for part in loc:
        if isinstance(node.value, dict) and part in node.value:
            entry: Entry = node.value[str(part)]
            node, place = entry.node, entry.place
            steps.append(part)
        elif isinstance(node.value, tuple) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            steps.append(part)
    return tuple(steps), node, place


def _name(site: Site, steps: Steps) -> str:
    if issubclass(site.model, FamilyConfig) and steps and steps[0] in site.model.own_sections:
        return str(steps[0]) + _below(steps[1:])
    return site.path + _below(steps)


def _below(steps: Steps) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _annotation(site: Site, steps: Steps) -> object:
    """The type of the field that `steps` lead to, None inside lists and free keys."""
    annotation: object = site.model
    for step in steps:
        section = section_of(annotation)
        if section is None or step not in section.model_fields:
            return None
        annotation = section.model_fields[str(step)].annotation
    return annotation


def section_of(annotation: object) -> type[Section] | None:
    """The section that a field holds, if it holds one, `| None` or not."""
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _unknown_key(site: Site, steps: Steps) -> str:
    *above, key = (str(step) for step in steps)
    section = section_of(_annotation(site, tuple(above)))
    known = list(section.recipe_keys()) if section is not None else []
    hint = did_you_mean(key, known)
    if section is not None and key in section.not_there:
        hint = f"; {section.not_there[key]}"
    elif key in site.homes:
        hint = f"; it {site.homes[key]}"
    return f"unknown key {quoted(key)} under {_name(site, tuple(above))}{hint}"


def _missing_key(site: Site, steps: Steps, key: str) -> str:
    section = section_of(_annotation(site, steps))
    description = section.model_fields[key].description if section is not None else None
    told = "" if description is None else f"; expected {description[:1].lower()}{description[1:].rstrip('.')}"
    return f"{_name(site, (*steps, key))} is missing{told}"


def _refused(site: Site, steps: Steps, node: Node, place: Place, message: str) -> Problem:
    """What a validator said: about one value, or about the key that its message begins with."""
    section = section_of(_annotation(site, steps))
    if section is None:
        return node.place.problem(f"{_name(site, steps)}: {message}")
    blamed = re.split(r"\W", message, maxsplit=1)[0]
    if blamed not in section.model_fields:
        return place.problem(f"{_name(site, steps)}: {message}")
    if isinstance(node.value, dict) and blamed in node.value:
        place = node.value[blamed].node.place
    return place.problem(f"{_name(site, (*steps, blamed))}{message[len(blamed) :]}")


def _add(finding: _Finding, detail: ErrorDetails) -> None:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        finding.limits.append(f"{words} {context[key]:.15g}")
    elif kind == "literal_error":
        finding.options += re.findall(r"'([^']*)'", context["expected"]) or [str(context["expected"])]
    elif kind == "missing":
        # A list that is too short: the last error says how many values there should be.
        index = detail["loc"][-1]
        assert isinstance(index, int)
        finding.kinds = [f"a list of {index + 1} values"]
    elif kind == "too_long":
        finding.kinds.append(f"a list of at most {context['max_length']} values")
    elif kind == "too_short":
        finding.kinds.append(f"a list of at least {_count(context['min_length'], 'value')}")
    elif kind == "string_too_short":
        finding.kinds.append(f"a text of at least {_count(context['min_length'], 'character')}")
    elif kind in _KINDS:
        finding.kinds.append(_KINDS[kind])
    else:
        message = detail["msg"].removeprefix("Input ")
        finding.limits.append(message[:1].lower() + message[1:])


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _sentence(site: Site, steps: Steps, finding: _Finding) -> str:
    name, got = _name(site, steps), finding.node.shown()
    if finding.limits:
        return f"{name} {' and '.join(dict.fromkeys(finding.limits))}, got {got}"
    kinds = list(dict.fromkeys(finding.kinds))
    if finding.options:
        kinds.append(
            f"one of {', '.join(finding.options)}" if len(finding.options) > 1 else finding.options[0]
        )
    if type(None) in typing.get_args(_annotation(site, steps)):
        kinds.append("null")
    match = nearest(finding.node.text, finding.options) if finding.node.text else None
    hint = f'; did you mean "{match}"?' if match is not None else _hint(kinds, finding.node)
    return f"{name}: expected {' or '.join(kinds)}, got {got}{hint}"


def _hint(kinds: list[str], node: Node) -> str:
    """What to write instead, where the value was clearly meant as one of `kinds`."""
    text = node.text.strip()
    if isinstance(node.value, dict | tuple) or not text:
        return ""
    if "true or false" in kinds and text.lower() in _YES | _NO:
        return f"; write {'true' if text.lower() in _YES else 'false'}"
    if "a text" in kinds and not isinstance(node.value, str) and node.value is not None:
        return f'; in quotes it is a text: "{text}"'
    number = _meant_number(text)
    if "a whole number" in kinds and number is not None and number == int(number):
        return f"; write {int(number)}"
    if "a number" in kinds and number is not None:
        return f"; write {text.replace('_', '')}"
    return ""


def _meant_number(text: str) -> int | float | None:
    """The number that a text spells: one in quotes, or with _ between its digits."""
    try:
        number = parse_scalar(re.sub(r"(?<=\d)_(?=\d)", "", text))
    except ValueError:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        return None
    return number
