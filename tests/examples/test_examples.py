"""The scripts of examples/ run, and leave what they say."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from creuset.pretrained.folder import load_folder
from source_tree import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def example(name: str) -> Callable[..., None]:
    """The main function of a script."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[..., None] = module.main
    return found


def test_each_script_has_a_test() -> None:
    text = Path(__file__).read_text()
    assert [path.stem for path in EXAMPLES if f'example("{path.stem}")' not in text] == []
    assert all(f"python examples/{path.name}" in path.read_text() for path in EXAMPLES)


def test_draw_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("draw_digits")(num_steps=120, folder=tmp_path)
    assert "nll " in capsys.readouterr().out
    with Image.open(tmp_path / "digits.png") as picture:
        assert picture.size == (512, 512)


def test_compare_classifiers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("compare_classifiers")(num_steps=20, folder=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("logistic regression: 0.9")
    assert lines[1].startswith("convolutional network: ")
    assert lines[2].startswith("the first five digits are read as ")


def test_map_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("map_digits")(num_steps=120, folder=tmp_path)
    assert "digit 9 lies around (" in capsys.readouterr().out
    with np.load(tmp_path / "codes.npz") as arrays:
        assert arrays["codes"].shape == (1797, 2)
        assert arrays["labels"].shape == (1797,)
    with Image.open(tmp_path / "way.png") as picture:
        assert picture.size == (640, 64)


def test_aligned_books(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = """<body><h2><a id="{title}"/>1.1. {title}</h2><p>{first}</p>
    <h2><a id="same"/>1.2. {second}</h2><p>{third}</p><ul><li><p>ls -l</p></li><li><p>{fourth}</p></li></ul>
    <h2><a id="unlike"/>1.3. {second}</h2>{fifth}</body>"""
    english = ("Alone", "Nobody.", "Files", "One <b>file</b>. Two files.", "A list", "<p>One.</p>")
    french = (
        "Seul",
        "Personne.",
        "Fichiers",
        "Un fichier. Deux\nfichiers.",
        "Une liste",
        "<p>Un.</p><p>Deux.</p>",
    )
    keys = ("title", "first", "second", "third", "fourth", "fifth")
    for language, texts in (("en", english), ("fr", french)):
        content = page.format(**dict(zip(keys, texts, strict=True)))
        (tmp_path / f"ch01.{language}.html").write_text(content, encoding="utf-8")
    out = tmp_path / "pairs.jsonl"
    example("aligned_books")(tmp_path, out)
    assert "4 pairs" in capsys.readouterr().out
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(one["source"], one["target"]) for one in found] == [
        ("Files", "Fichiers"),
        ("One file.", "Un fichier."),
        ("Two files.", "Deux fichiers."),
        ("A list", "Une liste"),
    ]
    with pytest.raises(SystemExit, match="no two files such as"):
        example("aligned_books")(tmp_path / "nowhere", out)


def test_pages_to_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = """<title>Été</title><style>p {}</style><body><h1>One &amp; <i>two</i></h1><p>Three
    four.<br>Five</p><script>six()</script><ul><li>seven</ul></script>eight<section>nine</section>
    <section>ten</section>"""
    for name in ("a.en", "a.de", "b"):
        (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
    out = tmp_path / "texts"
    example("pages_to_texts")(tmp_path, out, ("en", "fr"))
    assert "1 texts, 52 characters" in capsys.readouterr().out
    assert [path.name for path in out.iterdir()] == ["a.en.txt"]
    lines = (out / "a.en.txt").read_text(encoding="utf-8").splitlines()
    assert lines == ["Été", "One & two", "Three four.", "Five", "seven", "eight", "nine", "ten"]
    (tmp_path / "empty.html").write_text("<p></p>")
    example("pages_to_texts")(tmp_path, tmp_path / "all")
    assert len(list((tmp_path / "all").iterdir())) == 3
    with pytest.raises(SystemExit, match="there are files in this folder"):
        example("pages_to_texts")(tmp_path, out)
    (tmp_path / "c.html").write_bytes(b"caf\xe9")
    with pytest.raises(SystemExit, match=r"c\.html: not UTF-8"):
        example("pages_to_texts")(tmp_path, tmp_path / "more")
    with pytest.raises(SystemExit, match=r"ends in \.it\.html"):
        example("pages_to_texts")(tmp_path, out, ("it",))


def test_fill_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example("fill_masks")(num_steps=20, folder=tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("nats_per_masked_token ")
    assert lines[1].startswith('After Monday comes [MASK]. "')
    assert load_folder(tmp_path / "bert").model_type == "bert"
