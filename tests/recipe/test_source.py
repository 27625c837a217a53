"""Finding and reading a recipe's file."""

import re
from pathlib import Path

import pytest

from creuset.errors import NotFoundError, RecipeError, UsageError
from creuset.recipe import source
from creuset.recipe.composer import MAX_CHARACTERS
from creuset.recipe.source import find_recipe, read_text


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped recipes, and another as current folder."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    for name in ("vae-mnist.yaml", "cnn-mnist.yaml"):
        (folder / name).write_text("")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    recipes = {file.stem: file for file in sorted(folder.iterdir())}
    monkeypatch.setattr(source, "shipped_recipes", lambda: recipes)
    return folder


def test_a_name_finds_a_shipped_recipe_and_a_path_wins(shipped: Path) -> None:
    assert find_recipe("vae-mnist") == shipped / "vae-mnist.yaml"
    Path("vae-mnist").write_text("")
    assert find_recipe("vae-mnist") == Path("vae-mnist")
    assert find_recipe(Path("vae-mnist")) == Path("vae-mnist")


def test_a_folder_of_that_name_does_not_hide_a_shipped_recipe(shipped: Path) -> None:
    Path("vae-mnist").mkdir()
    assert find_recipe("vae-mnist") == shipped / "vae-mnist.yaml"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vae-minst", 'no recipe "vae-minst"; did you mean "vae-mnist"?'),
        ("zzz", 'no recipe "zzz"; there is: cnn-mnist, vae-mnist'),
        ("my/vea.yaml", 'no recipe my/vea.yaml; did you mean "my/vae.yaml"?'),
        ("my/zzz.yaml", "no recipe my/zzz.yaml; my holds vae.yaml"),
        ("your/vae.yaml", "no recipe your/vae.yaml; there is no folder your"),
        ("zzz.yaml", "no recipe zzz.yaml; . holds no recipe"),
        (
            "recipes/vae-mnist.yaml",
            'no recipe recipes/vae-mnist.yaml; "vae-mnist" without folder and suffix is one that',
        ),
    ],
)
def test_what_is_not_there_names_the_nearest(shipped: Path, name: str, message: str) -> None:
    Path("my").mkdir()
    Path("my/vae.yaml").write_text("")
    with pytest.raises(NotFoundError, match=f"^{re.escape(message)}") as caught:
        find_recipe(name)
    assert caught.value.exit_code == 3


def test_a_folder_is_no_recipe(shipped: Path) -> None:
    Path("folder").mkdir()
    with pytest.raises(UsageError, match="folder: a folder; a recipe is one YAML file"):
        find_recipe("folder")


def test_recipes_lie_in_the_package_or_beside_src(tmp_path: Path) -> None:
    package = tmp_path / "src" / "creuset"
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "b.yaml").write_text("")
    (tmp_path / "recipes" / "a.yml").write_text("")
    (tmp_path / "recipes" / "notes.txt").write_text("")
    package.mkdir(parents=True)
    assert list(source._recipes_of(package)) == ["a", "b"]
    (package / "recipes").mkdir()
    (package / "recipes" / "c.yaml").write_text("")
    assert list(source._recipes_of(package)) == ["c"]
    installed = tmp_path / "site-packages" / "creuset"
    installed.mkdir(parents=True)
    assert source._recipes_of(installed) == {}


def test_a_file_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfmodel: \xc3\xa9\n")
    assert read_text(file) == "model: é\n"


@pytest.mark.parametrize(
    ("content", "where", "message"),
    [
        (b"a: 1\nb: caf\xe9\n", "2:7", r"not UTF-8 text \(byte 0xe9\)"),
        ("é: ü".encode() + b"\xff", "1:5", r"not UTF-8 text \(byte 0xff\)"),
        ("a: 1".encode("utf-16"), "1:1", r"not UTF-8 text \(byte 0xff\)"),
        (b"PK\x03\x04\x80" + bytes(100), "1:5", r"not UTF-8 text \(byte 0x80\)"),
        (b"\xff" * (4 * MAX_CHARACTERS + 1), "1:1", r"longer than 256 kB; is this a recipe\?"),
    ],
)
def test_what_is_no_text_names_the_place(tmp_path: Path, content: bytes, where: str, message: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with pytest.raises(RecipeError, match=f"a.yaml:{where}: {message}"):
        read_text(file)
