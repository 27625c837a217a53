"""What the package's source may not do, and how long its files and functions may grow."""

import ast

import pytest

from source_tree import PACKAGE, Module, modules

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80
"""Past these a file or function holds a second idea; about 300 and 60 is what is aimed at."""


def printing(module: Module) -> list[str]:
    """Where a module prints, or decides how others' log lines are shown."""
    silent = ("print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write")
    return [
        f"{module.file}:{line}: {name}"
        for line, name, _ in module.calls()
        if name in silent
        or name in ("logging.basicConfig", "logging.config.dictConfig", "warnings.showwarning")
    ]


def unsafe(module: Module) -> list[str]:
    """Where opening a file or a text could run code that is in it."""
    forbidden = {
        *("eval", "exec", "compile", "os.system", "builtins.eval", "builtins.exec"),
        *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open"),
        *("yaml.load", "yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "joblib.load"),
    }
    found = []
    for line, name, call in module.calls():
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if (
            name in forbidden
            or (name == "torch.load" and keywords.get("weights_only") != "True")
            or (name in ("np.load", "np.lib.format.read_array") and keywords.get("allow_pickle") != "False")
            or "trust_remote_code" in keywords
            or keywords.get("shell") == "True"
        ):
            found.append(f"{module.file}:{line}: {name}")
    return found


def careless(module: Module) -> list[str]:
    """Habits that hide mistakes: a bare except, probing with hasattr, drawing from global generators."""
    found = [
        f"{module.file}:{node.lineno}: except without a type"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    for line, name, call in module.calls():
        words = {keyword.arg for keyword in call.keywords}
        if name == "hasattr" or name.startswith(("random.", "np.random.seed", "np.random.rand")):
            found.append(f"{module.file}:{line}: {name}")
        if (
            name in ("torch.randn", "torch.rand", "torch.randint", "torch.randperm")
            and "generator" not in words
        ):
            found.append(f"{module.file}:{line}: {name} without a generator")
    return found


def test_only_the_command_line_prints() -> None:
    assert [place for module in modules() if module.group != "cli" for place in printing(module)] == []


def test_nothing_that_is_opened_is_run() -> None:
    assert [place for module in modules() for place in unsafe(module)] == []


def test_no_habit_that_hides_mistakes() -> None:
    assert [place for module in modules() for place in careless(module)] == []


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (printing, "print(1)"),
        (printing, "click.echo('x')"),
        (unsafe, "torch.load(file)"),
        (unsafe, "torch.load(file, weights_only=False)"),
        (unsafe, "np.load(file)"),
        (unsafe, "yaml.load(text, Loader)"),
        (unsafe, "eval(text)"),
        (unsafe, "AutoModel.from_pretrained(name, trust_remote_code=True)"),
        (careless, "hasattr(x, 'y')"),
        (careless, "torch.randn(3)"),
        (careless, "try:\n    f()\nexcept:\n    pass"),
    ],
)
def test_each_rule_finds_what_it_forbids(rule: object, line: str) -> None:
    assert callable(rule)
    assert len(rule(Module(PACKAGE / "x.py", "creuset.x", ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line", ["torch.load(f, weights_only=True)", "np.load(f, allow_pickle=False)", "model.eval()"]
)
def test_what_is_safe_is_allowed(line: str) -> None:
    assert unsafe(Module(PACKAGE / "x.py", "creuset.x", ast.parse(line))) == []


def test_files_and_functions_stay_readable() -> None:
    long = []
    for module in modules():
        lines = len(module.path.read_text().splitlines())
        if lines > MAX_FILE_LINES:
            long.append(f"{module.file}: {lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long.append(f"{module.file}:{node.lineno}: {node.name}, {length} lines")
    assert long == []


def test_nothing_is_left_open() -> None:
    marks = [
        (module.file, word)
        for module in modules()
        for word in ("TODO", "FIXME", "XXX")
        if word in module.path.read_text()
    ]
    assert marks == []
