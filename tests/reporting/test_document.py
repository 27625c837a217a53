import base64
import errno
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from creuset.data.wav import wav_bytes
from creuset.errors import CreusetError, ResourceError, UsageError
from creuset.metrics.score import Score
from creuset.reporting.blocks import (
    Block,
    Chapter,
    Clip,
    Commands,
    Document,
    Facts,
    Figure,
    Finding,
    Grid,
    GridCell,
    GridRow,
    Measured,
    Passages,
    Row,
    Scores,
    Section,
    Sounds,
    Table,
    Text,
    Timing,
)
from creuset.reporting.charts import Axis, Dot, DotChart, HeatMap, LineChart, ScatterChart, Series
from creuset.reporting.document import render, write_report
from creuset.reporting.sheet import picture_sheet

VOID = {"meta", "link", "img", "br"}
HOSTILE = "<script>alert('x')</script>\x00\x1b\ud800 & \"quoted\" `<b>code</b>`"


class Page(HTMLParser):
    """Reads a page, insisting that every element is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def of(*blocks: Block, title: str = "A chapter") -> Document:
    return Document(title="A report", subtitle="", facts={}, chapters=[Chapter(title=title, blocks=blocks)])


def score(value: float, interval: tuple[float, float] | None = None, metric: str = "accuracy") -> Score:
    return Score(
        metric=metric,
        value=value,
        unit="fraction",
        better="higher",
        interval=interval,
        n=10,
        signature="a|v1",
    )


def test_the_example_is_well_formed_and_the_same_each_time(document: Document) -> None:
    text = render(document)
    assert text == render(document)
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert [tag for tag, _ in page.elements if tag == "script"] == []
    for drawing in re.findall(r"<svg\b.*?</svg>", text, flags=re.DOTALL):
        ElementTree.fromstring(drawing)


def test_nothing_is_asked_from_outside(document: Document) -> None:
    text = render(document)
    without_namespaces = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http:" not in without_namespaces
    assert "https:" not in without_namespaces
    page = Page(text)
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "xlink:href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#"))
    assert re.findall(r"url\((?!#)", text) == []
    assert "@import" not in text
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; media-src data:"
    )


def test_anchors_are_unique_and_the_contents_lead_to_them(document: Document) -> None:
    page = Page(render(document))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = [a["href"] for a in page.all("a")]
    assert targets
    assert all(target is not None and target[1:] in ids for target in targets)
    for drawing in page.all("svg"):
        for name in (drawing.get("aria-labelledby") or "").split():
            assert name in ids


def test_everything_of_the_example_is_there(document: Document) -> None:
    text = Page(render(document)).text
    for words in (
        "1 Discriminative against generative",
        "1.2 Where it errs",
        "Figure 2.1",
        "Table 3.1 How long each step took",
        "1 min 09 s",
        "sha256 2f9c41d0 8a17",
        "accuracy|data:digits,test,sha256:2f9c41d0|interval:wilson,0.95|v1",
        "creuset train recipes/linear-digits.yaml --seed 0 creuset train",
        "Made by creuset tour .",
    ):
        assert words in text


def test_hostile_names_stay_texts() -> None:
    nothing = np.zeros((2, 2))
    axis = Axis(label=HOSTILE)
    series = Series(name=HOSTILE, x=[0, 1], y=[0, 1])
    pictures = np.zeros((1, 8, 8, 1), dtype=np.uint8)
    charts = [
        LineChart(title=HOSTILE, series=[series, series], x=axis, y=axis),
        DotChart(title=HOSTILE, rows=[Dot(name=HOSTILE, value=1.0)], axis=axis),
        ScatterChart(
            title=HOSTILE, points=nothing, x=axis, y=axis, labels=np.array([0, 1]), class_names=[HOSTILE] * 2
        ),
        HeatMap(title=HOSTILE, values=nothing, measure=HOSTILE, row_names=[HOSTILE] * 2, rows=HOSTILE),
        picture_sheet(pictures, alt=HOSTILE, row_labels=[HOSTILE], column_labels=[HOSTILE]),
    ]
    document = Document(
        title=HOSTILE,
        subtitle=HOSTILE,
        facts={HOSTILE: HOSTILE},
        colophon=HOSTILE,
        chapters=[
            Chapter(
                title=HOSTILE,
                lead=HOSTILE,
                blocks=[
                    Text(text=HOSTILE),
                    *(Figure(drawing=chart, caption=HOSTILE) for chart in charts),
                    Row(figures=[Figure(drawing=charts[0], caption=HOSTILE)]),
                    Passages(texts={HOSTILE: HOSTILE}, caption=HOSTILE),
                    Sounds(clips=[Clip(name=HOSTILE, wav=b"", picture=charts[-1])], caption=HOSTILE),
                    Table(header=[HOSTILE], rows=[[HOSTILE]], caption=HOSTILE, note=HOSTILE),
                    Scores(
                        measured=[
                            Measured(subject=name, score=score(0.5, metric=HOSTILE))
                            for name in (HOSTILE, "b")
                        ],
                        caption=HOSTILE,
                    ),
                    Commands(commands=[HOSTILE], caption=HOSTILE),
                    Facts(facts={HOSTILE: HOSTILE}),
                    Finding(text=HOSTILE),
                    Timing(seconds={HOSTILE: 1.0}, caption=HOSTILE),
                    Section(title=HOSTILE, blocks=[Text(text=HOSTILE)]),
                ],
            )
        ],
    )
    text = render(document)
    page = Page(text)
    assert page.all("script") == []
    assert page.all("b") == [{}] * text.count("<b>Figure") + [{}] * text.count("<b>Table")
    assert "<script>alert('x')</script>" in page.text
    assert "\x00" not in text
    assert "\x1b" not in text
    text.encode("utf-8")
    for drawing in re.findall(r"<svg\b.*?</svg>", text, flags=re.DOTALL):
        ElementTree.fromstring(drawing)


def test_scores_without_intervals_and_without_scores() -> None:
    both = of(
        Scores(measured=[], caption="Nothing measured."),
        Scores(measured=[Measured(subject="a", score=score(0.5))], caption="One."),
        Scores(measured=[Measured(subject=n, score=score(0.5)) for n in "ab"], caption="Two."),
    )
    text = Page(render(both)).text
    assert "Table 1.1 Nothing measured. No scores." in text
    assert "[" not in text.replace("[0.95]", "")


def test_unlike_signatures_are_said() -> None:
    other = Score(
        metric="accuracy", value=0.5, unit="fraction", better="higher", interval=None, n=7, signature="b|v1"
    )
    document = of(
        Scores(
            measured=[Measured(subject="a", score=score(0.5)), Measured(subject="b", score=other)],
            caption="c",
        )
    )
    text = Page(render(document)).text
    assert "computed in two ways" in text
    assert "accuracy, n = 10: a|v1" in text
    assert "accuracy, n = 7: b|v1" in text


def test_tables_align_numbers_and_mark_the_best() -> None:
    table = Table(
        header=["model", "error", "steps"],
        rows=[["a", 0.25, 100], ["b", 0.125, 2000], ["c", None, 50]],
        caption="Errors.",
        best={"error": "lower", "steps": "higher"},
    )
    cells = re.findall(r"<td( class=\"[^\"]*\")?>([^<]*)</td>", render(of(table)))
    assert [(kind.removeprefix(' class="').rstrip('"'), text) for kind, text in cells] == [
        ("", "a"),
        ("numeric", "0.2500"),
        ("numeric", "100"),
        ("", "b"),
        ("numeric best", "0.1250"),
        ("numeric best", "2,000"),
        ("", "c"),
        ("numeric", "–"),
        ("numeric", "50"),
    ]


def test_yes_and_no_are_words_not_numbers() -> None:
    table = Table(header=["pooling"], rows=[[True], [False], [None]], caption="c")
    assert not table.numeric(0)
    text = Page(render(of(table, Facts(facts={"beta": True, "free": None, "rate": 1e-3})))).text
    assert "pooling yes no –" in text
    assert "beta yes free – rate 0.001" in text


def test_passages_stand_side_by_side_line_for_line() -> None:
    text = render(of(Passages(texts={"a": "one\n   two  <b>", "b": ""}, caption="Two texts.")))
    assert '<div class="passage">one\n   two  &lt;b&gt;</div>' in text
    assert ".passage { white-space: pre-wrap;" in text
    assert "a one two <b> b Figure 1.1 Two texts." in Page(text).text


def test_sounds_are_played_beside_their_pictures_without_a_request() -> None:
    wav = wav_bytes(np.zeros(80), 8000)
    sheet = picture_sheet(np.zeros((1, 8, 8, 1), dtype=np.uint8), alt="a picture", scale=2, padding=0)
    page = Page(
        render(of(Sounds(clips=[Clip(name="seven", wav=wav, picture=sheet)] * 2, caption="Two clips.")))
    )
    players = page.all("audio")
    assert [player["aria-label"] for player in players] == ["seven", "seven"]
    assert players[0]["src"] == "data:audio/wav;base64," + base64.b64encode(wav).decode()
    assert [picture["alt"] for picture in page.all("img")] == ["a picture"] * 2
    assert "seven seven Figure 1.1 Two clips." in page.text


def test_a_grid_has_a_row_a_measure_with_intervals_marks_and_pictures() -> None:
    sheet = picture_sheet(np.zeros((2, 4, 4, 1), dtype=np.uint8), alt="two <blank> pictures")
    rows = [
        GridRow(
            name="error",
            small="lower is better",
            cells=[GridCell(text="0.5", small="[0.4, 0.6]", marked=True), None],
        ),
        GridRow(name="samples", cells=[GridCell(text="", sheet=sheet), None]),
    ]
    grid = Grid(subjects=["one <b>", "two"], groups={"what it makes": rows}, caption="Both.", note="A note.")
    page = render(of(grid))
    assert '<th scope="col">one &lt;b&gt;</th>' in page
    assert '<th scope="rowgroup" colspan="3">what it makes</th>' in page
    assert '<td class="best"><span class="value">0.5</span> <small>[0.4, 0.6]</small></td><td>–</td>' in page
    assert 'alt="two &lt;blank&gt; pictures"' in page
    assert '<p class="note">A note.</p>' in page
    with pytest.raises(UsageError, match="a row has other cells than the grid has subjects"):
        Grid(subjects=["one"], groups={"what": rows}, caption="One.")


def test_tables_refuse_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="a row has other cells than the header"):
        Table(header=["a"], rows=[[1, 2]], caption="c")
    for name in ("b", "text"):
        with pytest.raises(UsageError, match="a best value needs a column of numbers"):
            Table(header=["a", "text"], rows=[[1, "x"]], caption="c", best={name: "lower"})


def test_numbers_count_through_a_chapter_and_start_anew_in_the_next() -> None:
    chart = DotChart(title="t", rows=[Dot(name="a", value=1.0)], axis=Axis(label="x"))
    figure = Figure(drawing=chart, caption="c")
    blocks = [
        figure,
        Section(title="s", blocks=[Row(figures=[figure, figure])]),
        Section(title="t", blocks=[]),
    ]
    chapters = [Chapter(title="one", blocks=blocks), Chapter(title="two", blocks=blocks)]
    text = render(Document(title="t", subtitle="", facts={}, chapters=chapters))
    assert re.findall(r"<b>Figure ([\d.]+)</b>", text) == ["1.1", "1.2", "1.3", "2.1", "2.2", "2.3"]
    assert re.findall(r'<h3><a class="number" href="[^"]*">([\d.]+)</a>', text) == [
        "1.1",
        "1.2",
        "2.1",
        "2.2",
    ]


def test_a_chart_is_drawn_for_a_page_and_for_a_phone() -> None:
    chart = DotChart(title="t", rows=[Dot(name="a", value=1.0)], axis=Axis(label="x"))
    text = render(of(Figure(drawing=chart, caption="c")))
    assert re.findall(r'<div class="drawing (\w+)"><svg[^>]* width="(\d+)"', text) == [
        ("wide", "720"),
        ("narrow", "352"),
    ]
    half = render(of(Row(figures=[Figure(drawing=chart, caption="c")])))
    assert re.findall(r'<div class="drawing (\w+)"><svg[^>]* width="(\d+)"', half) == [("half", "352")]


def test_timing_shares() -> None:
    text = Page(render(of(Timing(seconds={"long": 99.9, "short": 0.1, "none": 0.0})))).text
    assert "long 1 min 40 s 100%" in text
    assert "short 100 ms < 1%" in text
    assert "none 0 ms 0%" in text
    assert "all 1 min 40 s" in text
    assert "nothing 0 ms –" in Page(render(of(Timing(seconds={"nothing": 0.0})))).text


def test_an_empty_document_renders() -> None:
    page = Page(render(Document(title="Empty", subtitle="", facts={}, chapters=[])))
    assert page.all("nav") == []


def test_a_full_report_stays_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blobs = rng.normal(size=(64, 7, 7, 1)).repeat(4, axis=1).repeat(4, axis=2)
    pictures = np.clip(128 + 90 * blobs + 30 * rng.normal(size=(64, 28, 28, 1)), 0, 255).astype(np.uint8)
    sheets = [Figure(drawing=picture_sheet(pictures, alt="noise"), caption="c") for _ in range(6)]
    steps = np.arange(4000)
    curve = LineChart(
        title="t",
        series=[Series(name=f"run {i}", x=steps, y=rng.random(4000)) for i in range(3)],
        x=Axis(label="step"),
        y=Axis(label="loss"),
    )
    plane = ScatterChart(
        title="t",
        points=rng.normal(size=(5000, 2)),
        labels=rng.integers(10, size=5000),
        class_names=[str(i) for i in range(10)],
        x=Axis(label="a"),
        y=Axis(label="b"),
    )
    attention = HeatMap(title="t", values=rng.random((64, 64)), measure="weight", texts=())
    charts = [curve] * 4 + [plane] * 2 + [attention] * 2
    path = tmp_path / "report.html"
    write_report(of(*sheets, *(Figure(drawing=chart, caption="c") for chart in charts)), path)
    assert path.stat().st_size < 1_500_000


def test_write_report_makes_its_folder_and_leaves_nothing_else(tmp_path: Path, document: Document) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(document, path)
    assert path.read_text(encoding="utf-8") == render(document)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, ResourceError, "the disk is full"),
        (errno.EIO, CreusetError, "the disk failed"),
    ],
)
def test_a_failed_write_keeps_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[CreusetError], words: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind, match=f"report.html: {words}") as caught:
        write_report(of(), path)
    assert type(caught.value) is kind
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
