"""The example of docs/engines.md runs as it stands there."""

import re
from pathlib import Path

import pytest

from source_tree import ROOT


@pytest.mark.starter
def test_the_example_runs(starter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not (starter / "models" / "smollm2-135m" / "asset.json").is_file():
        pytest.skip("needs the starter assets (creuset models pull starter)")
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "engines.md").read_text(), re.DOTALL)
    exec(compile(example, "docs/engines.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.search(r'\n"(red|green)" \d+\n-\d+\.\d+ \(\d+, 3\)\n$', printed)
