"""Wheel and source distribution: they build, hold what they must, and what is installed from them runs."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import creuset
from source_tree import ROOT, project_files

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (found,) = distributions.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an empty environment with the wheel; its dependencies are those of the tests."""
    environment = tmp_path_factory.mktemp("installed")
    venv.create(environment, with_pip=False)
    site = next((environment / "lib").glob("python*")) / "site-packages"
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    # A line of a .pth is a folder to search after site-packages; .pth files in that folder are not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


def run_installed(installed: Path, folder: Path, *words: str) -> str:
    """The installed command, called from a folder outside of the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(installed / "creuset"), *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_whole(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    package = ROOT / "src" / "creuset"
    expected = {
        f"creuset/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected |= {f"creuset/recipes/{path.name}" for path in (ROOT / "recipes").glob("*.yaml")}
    assert {
        "creuset/py.typed",
        "creuset/reporting/report.html.j2",
        "creuset/reporting/report.css",
    } <= expected
    assert {name for name in held if ".dist-info/" not in name} == expected
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_source_distribution_holds_the_project(distributions: Path) -> None:
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    files = project_files()
    if files is None:
        pytest.skip("needs a git checkout, to know which files are the project's")
    names = {file.relative_to(ROOT).as_posix() for file in files}
    kept = ("src/", "recipes/", "tests/", "docs/", "examples/", "benchmarks/")
    missing = {name for name in names if name.startswith(kept)} - held
    assert missing == set()
    assert {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml"} <= held


def test_what_is_installed_runs_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [str(installed / "python"), "-c", "import creuset; print(creuset.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    version = run_installed(installed, tmp_path, "--version")
    assert creuset.__version__ in version
    shown = run_installed(installed, tmp_path, "config", "show", "vae-digits")
    assert "data.source" in shown
    assert "digits" in shown


def test_what_is_installed_trains_a_shipped_recipe(installed: Path, tmp_path: Path) -> None:
    settings = ["--set", "training.num_steps=5", "--set", "evaluation.num_importance_samples=2"]
    run_installed(installed, tmp_path, "train", "vae-digits", "--name", str(tmp_path / "run"), *settings)
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
