"""The public names of creuset.metrics: all there, none hidden by a file, none paid for before it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import creuset.metrics as metrics


def test_every_public_name_is_found_where_it_is_said_to_be() -> None:
    assert sorted(metrics._HOMES) == sorted(metrics.__all__) == dir(metrics)
    for name in metrics.__all__:
        assert getattr(metrics, name).__module__ == f"creuset.metrics.{metrics._HOMES[name]}"


def test_no_public_name_is_also_a_file() -> None:
    # Importing a file sets an attribute of its name on the package, which would hide the function.
    assert metrics.__file__ is not None
    files = {file.stem for file in Path(metrics.__file__).parent.glob("*.py")}
    assert not files & set(metrics.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'acuracy'"):
        metrics.acuracy  # noqa: B018


def test_neither_the_package_nor_a_metric_imports_torch() -> None:
    code = (
        "import sys, creuset.metrics\n"
        "assert 'scipy' not in sys.modules and 'numpy' not in sys.modules\n"
        "[getattr(creuset.metrics, name) for name in creuset.metrics.__all__]\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
