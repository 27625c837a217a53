"""The example of docs/attention.md runs as it stands there."""

import re

from source_tree import ROOT


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "attention.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, "docs/attention.md", "exec"), names)
    assert str(names["svg"]).lstrip().startswith(("<svg", "<?xml"))
