"""Writing markup by hand: tags, the width of a text before it is drawn, and the frame of an accessible SVG.

Texts are escaped by markupsafe: a child that is a plain str is text, one that is Markup is an element.
Coordinates have one decimal, in CSS pixels at the drawing's own width.
"""

import re
from collections.abc import Iterable

from markupsafe import Markup, escape

FONT_SIZE = 12
"""Size of a chart's text, in pixels; charts/charts.css sets the same."""

_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

_NARROW = frozenset("iljtfrI.,:;'|!()[]{}/\\` 1°")
_WIDE = frozenset("mwMWQOGDCNHU@%&—→∞")


def clean(text: str) -> str:
    """`text` without what HTML and XML cannot hold (control characters, lone surrogates): each becomes �."""
    return _NOT_TEXT.sub("\N{REPLACEMENT CHARACTER}", text)


def coordinate(value: float) -> str:
    """A length or position with one decimal at most."""
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """One element.

    Args:
        name: The element's name.
        children: Plain str is escaped; Markup goes in as it is.
        attributes: A trailing underscore is dropped (class_), other underscores become hyphens, numbers are
            written by `coordinate`, None leaves the attribute out.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None:
            continue
        text = value if isinstance(value, str) else coordinate(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(clean(text))}"')
    opening = " ".join(parts)
    if not children:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Elements and texts one after another; texts are cleaned and escaped."""
    return Markup("").join(part if isinstance(part, Markup) else clean(part) for part in parts)


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """About how wide `text` is in pixels in a sans-serif font: rather too wide than too narrow."""
    return sum(_em(character) for character in clean(text)) * size


def fit_text(text: str, width: float, size: float = FONT_SIZE) -> str:
    """`text`, or as much of its beginning as fits into `width` pixels, with an ellipsis; cleaned."""
    text = clean(text)
    if text_width(text, size) <= width:
        return text
    room = width - text_width("…", size)
    kept = 0.0
    for index, character in enumerate(text):
        kept += _em(character) * size
        if kept > room:
            return text[:index].rstrip() + "…"
    return text


def label(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    kind: str = "label",
    width: float | None = None,
    turned: bool = False,
) -> Markup:
    """A text at a place; what does not fit into `width` is cut, with the whole text as its tooltip.

    Args:
        x: Where the text starts, ends or has its middle, by `anchor`.
        y: Its base line.
        text: What it says.
        anchor: "start", "middle" or "end".
        kind: The CSS class, which sets colour and weight.
        width: Room for it, in pixels.
        turned: Written upwards.
    """
    text = clean(text)
    shown = text if width is None else fit_text(text, width)
    tooltip = [] if shown == text else [tag("title", text)]
    turn = f"rotate(-90 {coordinate(x)} {coordinate(y)})" if turned else None
    placed = None if anchor == "start" else anchor
    return tag("text", shown, *tooltip, class_=kind, x=x, y=y, text_anchor=placed, transform=turn)


def drawing(body: str, *, width: float, height: float, key: str, title: str, description: str) -> Markup:
    """The whole SVG, which a screen reader announces by its title and description.

    Args:
        body: What is drawn, Markup.
        width: In pixels, at which its text has its true size.
        height: In pixels.
        key: Makes the ids of this drawing its own within a document.
        title: The drawing's name.
        description: What it shows, in words.
    """
    return tag(
        "svg",
        tag("title", title, id=f"{key}-title"),
        tag("desc", description, id=f"{key}-desc"),
        body,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def _em(character: str) -> float:
    """Advance of one character in em; wide scripts (CJK, emoji) take one."""
    if character in _NARROW:
        return 0.36
    if character in _WIDE:
        return 0.92
    if ord(character) >= 0x1100:
        return 1.05 if not 0x2000 <= ord(character) < 0x2E80 else 0.62
    return 0.70 if character.isupper() else 0.60
