"""The pages on data for tuning and on exports say what the code does."""

from typing import get_args

from creuset.data.conversations import Form, form_of
from creuset.evaluation.certificate import LIMITS
from creuset.training.gate import CHECKS
from creuset.training.gate_on_pairs import PAIR_CHECKS
from source_tree import ROOT


def table(page: str, first: str) -> list[list[str]]:
    """The rows of a table from the one with this first cell on."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith(f"| {first} |"))
    found = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_forms_are_those_that_are_read() -> None:
    named = [row[0] for row in table("tuning_data.md", "messages")]
    assert sorted(named) == sorted(get_args(Form))
    assert form_of({"instruction": "", "output": ""}) == "instruction"


def test_findings_are_those_of_the_gate() -> None:
    found = table("tuning_data.md", "nothing trained")
    assert [(row[0], row[2] == "yes") for row in found] == [(check.name, check.fatal) for check in CHECKS]


def test_findings_on_pairs_are_those_of_the_gate() -> None:
    found = table("tuning_data.md", PAIR_CHECKS[0].name + " in pairs")
    assert [(row[0].removesuffix(" in pairs"), row[2] == "yes") for row in found] == [
        (check.name, check.fatal) for check in PAIR_CHECKS
    ]


def test_limits_are_those_of_certificates() -> None:
    found = {row[0]: row[1:] for row in table("exports.md", "safetensors")}
    expected = {
        kind: [
            "-" if limits.largest_difference is None else f"{limits.largest_difference:g}",
            "-" if limits.mean_divergence is None else f"{limits.mean_divergence:g}",
        ]
        for kind, limits in LIMITS.items()
    }
    assert found == expected
