"""Change single values of a Pulumi.STACK.yaml and leave every other byte as a person wrote it.

The engine's own `config set` writes the whole file anew: blank lines go, numbers become text. A stack file is read by
people more than by machines, so values are put in at the very places where a YAML parser found the old ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deployer.errors import DeployError, UsageError

INDENT = "  "


def load_stack_file(path: Path) -> dict[str, Any]:
    """Read a stack's file without judging what its config says.

    Returns:
        The file's content, with its `config` a mapping by full key.

    Raises:
        UsageError: it is no YAML, or no stack's file.
    """
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UsageError(
            f"{path.name}{where}: this is not YAML.",
            said=" ".join(part for part in (error.context, error.problem) if part),
            advice="Nothing was changed. Mend the line and start again.",
        ) from error
    refuse(path, _shape_problems(settings))
    return dict(settings)


def refuse(path: Path, problems: Sequence[str]) -> None:
    """Raise when anything is wrong with a stack's file.

    Raises:
        UsageError: with every problem.
    """
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise UsageError(
            f"{path.name} has {count}.",
            said="\n".join(problems),
            advice="Nothing was changed. Mend the file and start again.",
        )


def change_stack_file(path: Path, config: Mapping[str, object], settings: Mapping[str, object]) -> None:
    """Write values into a stack's file, all of them or none.

    Args:
        path: the file.
        config: values by full key ("stampchat:hostname"), or by the path into a mapping ("stampchat:acme.email").
        settings: values beside `config`: the engine's salt, or its secrets provider.

    Raises:
        DeployError: the disk is full, or the file may not be written.
    """
    text = path.read_text(encoding="utf-8")
    for key, value in config.items():
        text = set_value(text, ("config", *key.split(".")), value)
    for key, value in settings.items():
        text = set_value(text, (key,), value)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            # Some file systems tell only now that the disk is full.
            os.fsync(file.fileno())
        part.chmod(path.stat().st_mode & 0o777)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DeployError(
            f"{path} cannot be written: {error.strerror}.", advice="It is as it was. Mend that and start again."
        ) from error


def set_value(text: str, path: tuple[str, ...], value: object) -> str:
    """Return a YAML text with one value set, made where there is none.

    Args:
        text: a YAML mapping.
        path: the keys that lead to the value.
        value: text, a number, a list of such, or a mapping.
    """
    node = yaml.compose(text) or yaml.MappingNode("tag:yaml.org,2002:map", [])
    for depth, key in enumerate(path):
        found = _find(node, key)
        if found is None:
            return _insert(text, node, depth, path, value)
        key_node, node = found
        if depth < len(path) - 1 and not isinstance(node, yaml.MappingNode):
            # `config:` with nothing behind it, or a value where a mapping belongs.
            return _replace(text, key_node, node, depth, _nest(path[depth + 1 :], value))
        if isinstance(node, yaml.MappingNode) and node.flow_style and depth < len(path) - 1:
            merged = yaml.safe_load(text[node.start_mark.index : node.end_mark.index])
            return _replace(text, key_node, node, depth, _merge(merged, path[depth + 1 :], value))
    return _replace(text, key_node, node, len(path) - 1, value)


def _find(node: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((name, value) for name, value in pairs if name.value == key), None)


def _replace(text: str, key: yaml.Node, old: yaml.Node, depth: int, value: object) -> str:
    start, end = key.start_mark.index, max(key.end_mark.index, _end(old))
    rendered = _render(str(key.value), value, depth).strip()
    # A block of text ends behind its line breaks.
    while text[end - 1 : end] == "\n":
        end -= 1
    # An absent value's mark stands right behind the key, before its colon.
    if text[end : end + 1] == ":":
        end += 1
    return text[:start] + rendered + text[end:]


def _insert(text: str, node: yaml.Node, depth: int, path: tuple[str, ...], value: object) -> str:
    key = path[depth]
    block = _render(key, _nest(path[depth + 1 :], value), depth)
    # A template names what is yours to set in a comment: that is the place.
    template = re.compile(rf"^{INDENT * depth}#\s?{re.escape(key)}:.*\n?", re.MULTILINE)
    match = template.search(text, _start(node), _last_line(text, node))
    if match is not None:
        return text[: match.start()] + block + text[match.end() :]
    at = _last_line(text, node)
    before = text[:at] if not at or text[:at].endswith("\n") else text[:at] + "\n"
    return before + block + text[at:]


def _start(node: yaml.Node) -> int:
    return node.start_mark.index if node.start_mark else 0


def _end(node: yaml.Node) -> int:
    """Return where a value's last character stands; a block's own mark lies behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return max(_end(part) for part in (last if isinstance(last, tuple) else (last,)))
    return int(node.end_mark.index)


def _last_line(text: str, node: yaml.Node) -> int:
    """Return where the line after a mapping begins, with the indented comments that belong to it."""
    if not node.end_mark:
        return len(text)
    at = text.find("\n", _end(node))
    if at < 0:
        return len(text)
    column = int(node.start_mark.column)
    end = at = at + 1
    while at < len(text):
        line_end = text.find("\n", at)
        line_end = len(text) if line_end < 0 else line_end + 1
        line = text[at:line_end]
        if line.strip() and not (line.startswith(" " * max(1, column)) and line.lstrip().startswith("#")):
            break
        at = line_end
        end = at if line.strip() else end
    return end


def _nest(path: tuple[str, ...], value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _merge(mapping: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    inner = mapping.get(path[0]) if len(path) > 1 else None
    merged = _merge(inner if isinstance(inner, dict) else {}, path[1:], value) if len(path) > 1 else value
    return {**mapping, path[0]: merged}


def _render(key: str, value: object, depth: int) -> str:
    # Lists stand in one line, as the template has them; a sealed value must not be broken into several.
    flow = None if isinstance(value, list) else False
    text = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=flow)
    return "".join(f"{INDENT * depth}{line}\n" for line in text.splitlines())


def _shape_problems(settings: Any) -> list[str]:
    """Check what is above the program's own config."""
    if not isinstance(settings, dict):
        return ["the file must be a mapping with the key `config`"]
    known = {"config", "encryptionsalt", "secretsprovider", "encryptedkey", "environment"}
    problems = [f"{key}: unknown key; known are {listed(sorted(known))}" for key in settings if key not in known]
    config = settings.get("config") or {}
    if not isinstance(config, dict):
        return [*problems, f"config: must be a mapping, not {type(config).__name__}"]
    return problems + [
        f"config.{key}: a key is NAMESPACE:NAME, as in stampchat:place"
        for key in config
        if not re.fullmatch(r"[\w-]+:[\w-]+", str(key))
    ]


def listed(names: Sequence[str]) -> str:
    """Write names as a person would: a, b and c."""
    if len(names) < 2:  # noqa: PLR2004  # one name needs no "and"
        return "".join(names) or "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"
