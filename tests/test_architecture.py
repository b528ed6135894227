"""The shape of the project: imports go one way, no cycles, files stay short, no globals."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("models", "stages", "pipeline", "run_pipeline")
MAX_LINES = 300
FOLDERS = ("models", "stages", "pipeline", "samples", "benchmarks", "tests")
FILES = [*sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")), ROOT / "run_pipeline.py"]


def imports(path):
    """(module, whether it is imported when the file is) for every import of our own packages."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top_level = set(ast.walk(ast.Module(body=[n for n in tree.body if not _is_type_checking(n)], type_ignores=[])))
    deferred = {n for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            yield name, node in top_level and node not in deferred


def _is_type_checking(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [p for p in FILES if module_name(p).split(".")[0] in ORDER], ids=module_name)
def test_imports_go_one_way(path):
    own = ORDER.index(module_name(path).split(".")[0])
    for name, _ in imports(path):
        package = name.split(".")[0]
        assert package not in ("tests", "benchmarks", "samples")
        if package in ORDER:
            assert ORDER.index(package) <= own, f"{module_name(path)} imports {name}"
        if not module_name(path).startswith("models.training"):
            assert own == ORDER.index("pipeline") or not name.startswith("models.training")


def test_no_import_cycles():
    graph = {
        module_name(path): {name for name, early in imports(path) if early}
        for path in FILES
        if module_name(path).split(".")[0] in ORDER
    }
    done, active = set(), []

    def visit(module):
        if module in active:
            pytest.fail(" → ".join([*active[active.index(module) :], module]))
        if module in done or module not in graph:
            return
        active.append(module)
        for name in sorted(graph[module]):
            visit(name)
        done.add(active.pop())

    for module in graph:
        visit(module)


@pytest.mark.parametrize("path", [p for p in FILES if module_name(p).split(".")[0] in ORDER], ids=module_name)
def test_no_globals(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Global)]


def test_settings_are_named_after_their_module():
    from pipeline.config import RunConfig

    for field in ("read", "shots", "track", "style", "crop", "composite", "write"):
        section = type(getattr(RunConfig(), field))
        assert section.__module__ == f"stages.{field}"
