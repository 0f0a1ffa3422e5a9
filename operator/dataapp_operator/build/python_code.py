"""What a Python file imports, makes and starts, read from its syntax tree: nothing of it is run.

The tree and not the text: an import inside `try:` or `if` counts, one inside a string or a comment does not.
"""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that is no Python: the line, where it is known, and the parser's words."""

    line: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Code:
    """One file. `modules` are full names (`shiny.express`); names of calls are full too (`fastapi.FastAPI`)."""

    modules: frozenset[str]
    siblings: frozenset[str]
    calls: tuple[tuple[str, str], ...]
    starts: tuple[tuple[str, int], ...]
    names: frozenset[str]

    def imports(self, module: str) -> bool:
        """Whether it imports this module or something inside it."""
        return any(name == module or name.startswith(f"{module}.") for name in self.modules)

    def object_of(self, classes: tuple[str, ...]) -> str | None:
        """The first name at the top level that is given an object of one of these classes."""
        return next((name for name, made in self.calls if any(_same(made, known) for known in classes)), None)

    def result_in(self, names: tuple[str, ...]) -> str | None:
        """The first of these names that is given the result of any call at the top level."""
        given = {name for name, _ in self.calls}
        return next((name for name in names if name in given), None)

    def start_of(self, call: str) -> int | None:
        """The line on which this is called while the file is loaded."""
        return next((line for made, line in self.starts if _same(made, call)), None)


def read_python(text: str) -> Code | Broken:
    """What is in a file. Hostile text (deep nesting, null bytes) is told as broken, like any other that is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        return Broken(error.lineno, error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return Broken(None, str(error) or "it is nested too deeply")
    aliases, modules, siblings = _imports(tree)
    calls, starts, names = [], [], set(aliases)
    for statement in _loaded(tree.body):
        for target, value in _bindings(statement):
            names.add(target)
            if isinstance(value, ast.Call) and (made := _full_name(value.func, aliases)):
                calls.append((target, made))
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            starts.append((_full_name(statement.value.func, aliases) or "", statement.lineno))
    return Code(frozenset(modules), frozenset(siblings | modules), tuple(calls), tuple(starts), frozenset(names))


def _imports(tree: ast.Module) -> tuple[dict[str, str], set[str], set[str]]:
    """What each imported name stands for, the modules by their full names, and those beside the file (`from . import`)."""
    aliases: dict[str, str] = {}
    modules: set[str] = set()
    siblings: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                modules.add(alias.name)
                first = alias.name.partition(".")[0]
                aliases[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for alias in node.names:
                modules.update({node.module, f"{node.module}.{alias.name}"})
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.ImportFrom):
            siblings.update([node.module] if node.module else [alias.name for alias in node.names])
            aliases |= {alias.asname or alias.name: f".{alias.name}" for alias in node.names}
    return aliases, modules, siblings


def _loaded(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the file is loaded; not what stands under `if __name__ == "__main__"`."""
    waiting = list(reversed(body))
    while waiting:
        statement = waiting.pop()
        yield statement
        inner: list[ast.stmt] = []
        if isinstance(statement, ast.If) and not _only_as_script(statement):
            inner = [*statement.body, *statement.orelse]
        elif isinstance(statement, ast.Try):
            inner = [*statement.body, *statement.orelse, *statement.finalbody]
            inner += [line for handler in statement.handlers for line in handler.body]
        elif isinstance(statement, ast.With):
            inner = statement.body
        waiting.extend(reversed(inner))


def _only_as_script(statement: ast.If) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test))


def _bindings(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield target.id, statement.value
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id, statement.value
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name, None


def _full_name(node: ast.expr, aliases: dict[str, str]) -> str | None:
    """`FastAPI` after `from fastapi import FastAPI` is `fastapi.FastAPI`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def _same(made: str, known: str) -> bool:
    """`fastapi.applications.FastAPI` is `fastapi.FastAPI`: packages offer their classes at more than one place."""
    return made.partition(".")[0] == known.partition(".")[0] and made.rpartition(".")[2] == known.rpartition(".")[2]
