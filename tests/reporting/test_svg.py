from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from creuset.reporting.svg import clean, coordinate, drawing, fit_text, label, tag, text_width


def test_tag_escapes_texts_and_attributes_but_not_elements() -> None:
    inner = tag("tspan", "a < b")
    made = tag("text", "<script>", inner, class_='"x"', text_anchor="end", x=1.25, y=-0.01, skipped=None)
    assert made == (
        '<text class="&#34;x&#34;" text-anchor="end" x="1.2" y="0">'
        "&lt;script&gt;<tspan>a &lt; b</tspan></text>"
    )


@pytest.mark.parametrize("bad", ["\x00", "\x1b[31m", "\ud800", "\x85", "￿"])
def test_clean_replaces_what_xml_cannot_hold(bad: str) -> None:
    text = clean(f"a{bad}b")
    assert "�" in text
    ElementTree.fromstring(tag("text", f"a{bad}b", title=bad))
    assert clean("tab\tnew\nline é 漢") == "tab\tnew\nline é 漢"


@given(st.text(), st.text())
def test_any_text_makes_well_formed_xml(text: str, attribute: str) -> None:
    root = ElementTree.fromstring(tag("text", text, title=attribute))
    assert (root.text or "").replace("\r", "\n") == clean(text).replace("\r\n", "\n").replace("\r", "\n")


@given(st.text(), st.floats(0, 400))
def test_fitted_text_fits(text: str, width: float) -> None:
    shown = fit_text(text, width)
    assert text_width(shown) <= max(width, text_width("…")) + 1e-6
    assert shown == clean(text) or shown.endswith("…")


def test_cut_label_keeps_its_whole_text_as_tooltip(parse: type[Any]) -> None:
    text = ElementTree.fromstring(label(0, 0, "a very long name indeed", width=60))
    assert text.text is not None
    assert text.text.endswith("…")
    assert text.find("title") is not None
    assert text.findtext("title") == "a very long name indeed"


def test_drawing_is_announced_by_title_and_description(parse: type[Any]) -> None:
    made = drawing(Markup(), width=10, height=20, key="k", title="A <b>", description="What it shows")
    root = parse(made).root
    assert root.attrib["role"] == "img"
    named = root.attrib["aria-labelledby"].split()
    texts = {element.attrib["id"]: element.text for element in root}
    assert [texts[name] for name in named] == ["A <b>", "What it shows"]


@pytest.mark.parametrize(
    ("value", "text"), [(1.04, "1"), (1.06, "1.1"), (-0.04, "0"), (100.0, "100"), (0, "0")]
)
def test_coordinate(value: float, text: str) -> None:
    assert coordinate(value) == text
