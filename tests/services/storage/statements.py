"""Find every SQL statement of the services, wherever it is written, so that no test can forget one."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SERVICES = Path(__file__).parents[3] / "services"
# These speak to the database itself, and not of rows that grow.
LEFT_OUT = {"services/migrations.py", "services/database.py"}
_SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b")
_VERB = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s")


@dataclass(frozen=True)
class Statement:
    """Be one statement.

    Attributes:
        service: whose database it is for.
        where: the file, and the constant or line.
        sql: with $1, $2, … for its values.
    """

    service: str
    where: str
    sql: str

    def __str__(self) -> str:
        return self.where


def find_statements() -> list[Statement]:
    """Return all of them, each once.

    Raises:
        AssertionError: one is put together where it is used, so that nothing can look at it before it runs.
    """
    found: dict[tuple[str, str], Statement] = {}
    for path in sorted(SERVICES.rglob("*.py")):
        where = path.relative_to(SERVICES.parent)
        if str(where) in LEFT_OUT:
            continue
        service = where.parts[1] if len(where.parts) > 2 else "chat"
        for name, sql in _in_module(path, ".".join(where.with_suffix("").parts)):
            found.setdefault((service, sql), Statement(service, f"{where}:{name}", sql))
    return list(found.values())


def _in_module(path: Path, module: str) -> Iterator[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    if not _SQL.search(text):
        return
    tree = ast.parse(text)
    constants: list[str] = []
    inside: set[ast.AST] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _has_text(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            constants += [target.id for target in targets if isinstance(target, ast.Name)]
            inside |= set(ast.walk(node))
    if constants:
        values = vars(importlib.import_module(module))
        parts = _used(inside) - _used(set(ast.walk(tree)) - inside)
        statements = [name for name in constants if not (name.startswith("_") and name in parts)]
        yield from ((name, value) for name in statements for value in _texts(values[name]) if _VERB.match(value))
    yield from _in_functions(tree, inside, path)


def _used(nodes: set[ast.AST]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _in_functions(tree: ast.Module, seen: set[ast.AST], path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if node in seen:
            continue
        if isinstance(node, ast.JoinedStr):
            seen |= set(ast.walk(node))
            first = node.values[0] if node.values else None
            is_sql = isinstance(first, ast.Constant) and _VERB.match(str(first.value))
            assert not is_sql, f"{path}:{node.lineno} puts a statement together; make it a constant of its module"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _VERB.match(node.value):
            yield str(node.lineno), node.value


def _has_text(value: ast.expr) -> bool:
    return any(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(value))


def _texts(value: object) -> Iterator[str]:
    """Yield a text, or those of a collection or of a dataclass of statements."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _texts(part)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _texts(getattr(value, name))
