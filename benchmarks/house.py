"""How easy the code is to live in: rooms, floors, arrows, circles, long functions, lines.

    python -m benchmarks.house [--root FOLDER]

A room is a module or a package directly below `actmatch`, or `app.py`; an arrow says that one room
imports another; a floor stands above all that its rooms import.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

LONG, WIDE = 60, 6  # lines of a function, parameters


class House:
    """The modules of `actmatch` and `app.py` below a folder."""

    def __init__(self, root: Path) -> None:
        found = [root / "app.py", *sorted((root / "actmatch").rglob("*.py"))]
        self.trees = {
            ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): (
                path,
                ast.parse(path.read_text(encoding="utf-8")),
            )
            for path in found
        }

    @property
    def lines(self) -> int:
        """Of all modules."""
        return sum(len(path.read_text("utf-8").splitlines()) for path, _ in self.trees.values())

    def imports(self, name: str) -> set[str]:
        """Modules that a module imports, late imports and all, but the package's own face."""
        path, tree = self.trees[name]
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        found = set()
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            base = package[: len(package) - node.level + 1] if node.level else []
            home = ".".join((*base, *filter(None, [node.module])))
            for alias in node.names:
                whole = f"{home}.{alias.name}"
                found.add(whole if whole in self.trees else home)
        return found & set(self.trees) - {"actmatch", name}

    def rooms(self) -> dict[str, set[str]]:
        """Every room and those that it imports."""
        arrows: dict[str, set[str]] = {}
        for name in self.trees:
            if name != "actmatch":
                others = {room(other) for other in self.imports(name)} - {room(name)}
                arrows.setdefault(room(name), set()).update(others)
        return arrows

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef]]:
        """Every function and method with its module."""
        for name, (_, tree) in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    yield name, node


def room(name: str) -> str:
    """The room of a module."""
    return name if "." not in name else name.split(".")[1]


def parameters(function: ast.FunctionDef) -> list[str]:
    """Names of the parameters, but `self` and `cls`."""
    every = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return [each.arg for each in every if each.arg not in ("self", "cls")]


def floors(arrows: dict[str, set[str]]) -> int:
    """The longest way down from room to room."""

    @cache
    def height(name: str) -> int:
        return 1 + max(map(height, arrows[name]), default=0)

    return max(map(height, arrows))


def circles(house: House) -> int:
    """1 where modules import one another in a circle, else 0."""
    graph = {name: house.imports(name) for name in house.trees}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return 1
    return 0


def measures(house: House) -> Iterator[tuple[str, int]]:
    """Each measure with its name."""
    arrows, functions = house.rooms(), [function for _, function in house.functions()]
    wide = [each for each in functions if len(parameters(each)) > WIDE]
    yield "rooms", len(arrows)
    yield "arrows between rooms", sum(map(len, arrows.values()))
    yield "circles of modules", circles(house)
    if not circles(house):
        yield "floors", floors(arrows)
    yield (
        f"functions above {LONG} lines",
        sum(each.end_lineno - each.lineno >= LONG for each in functions),
    )
    yield (
        f"functions of more than {WIDE} parameters",
        sum(each.name != "__init__" for each in wide),
    )
    yield (
        "signatures with a classifier and a problem",
        sum({"classifier", "problem"} <= {*parameters(each)} for each in functions),
    )
    yield (
        "places with # fmt: skip",
        sum(path.read_text("utf-8").count("# fmt: skip") for path, _ in house.trees.values()),
    )
    yield "lines of actmatch and app.py", house.lines


def main() -> None:
    """Print the measures, and what is long or wide."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path())
    house = House(parser.parse_args().root)
    for name, value in measures(house):
        print(f"{value:6}  {name}")
    for name, function in house.functions():
        length, wide = 1 + function.end_lineno - function.lineno, len(parameters(function))
        if length > LONG or (wide > WIDE and function.name != "__init__"):
            print(f"        {name}.{function.name}: {length} lines, {wide} parameters")


if __name__ == "__main__":
    main()
