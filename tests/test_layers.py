"""Every module imports only what lies below it, and nothing goes round in a circle."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1] / "actmatch"
# A module or package may import those of earlier lines, and of its own package.
LAYERS = (
    ("bounds", "errors", "files", "progress", "runtime", "torch_modes", "wording"),
    ("images",),
    ("classifiers",),
    ("problem",),
    ("methods", "evidence", "circuits", "generator"),
    ("search",),
    ("judging",),
    ("results",),
    ("server", "batching"),
    ("cli", "screen"),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(LAYERS) for room in rooms}
MODULES = sorted(path for path in HOME.rglob("*.py") if path != HOME / "__init__.py")


def name_of(path: Path) -> str:
    """The dotted name of a module below `actmatch`."""
    return ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Dotted names below `actmatch` that a module imports, late imports and all."""
    package = path.relative_to(HOME).parent.parts
    names = {name_of(module) for module in MODULES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*package[: len(package) - node.level + 1], *filter(None, [node.module])]
        for alias in node.names:
            whole = ".".join((*base, alias.name))
            found.add(whole if whole in names else ".".join(base))
    return found - {""}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_lies_below(path):
    room = name_of(path).partition(".")[0]
    above = [
        name
        for name in imported(path)
        if name.partition(".")[0] != room and FLOOR[name.partition(".")[0]] >= FLOOR[room]
    ]
    assert not above, f"{name_of(path)} imports {above}"


def test_no_circles():
    """`static_order` raises a CycleError that names the modules of one."""
    graph = {name_of(path): imported(path) for path in MODULES}
    assert len([*TopologicalSorter(graph).static_order()]) >= len(MODULES)


def test_every_room_says_what_lives_there_and_what_it_may_import():
    for package in HOME.glob("*/__init__.py"):
        docstring = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8")))
        assert docstring and "May import" in docstring, package
