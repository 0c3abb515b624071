from __future__ import annotations

from pathlib import Path

import pytest

from deployer.local.watch import affected, changed_files, is_source, syntax_problem


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        (["auth/app.py"], "auth"),
        (["chat/features/edits.py"], "chat"),
        (["notifications/migrations/002_x.sql"], "notifications"),
        (["chat/app.py", "auth/app.py"], "auth chat"),
        (["tokens.py"], "auth chat notifications"),
        (["chat/app.py", "web.py"], "auth chat notifications"),
        (["shared/new.py"], "auth chat notifications"),
    ],
)
def test_a_change_concerns_its_own_service_and_a_shared_one_all(changed: list[str], names: str) -> None:
    root = Path("/checkout")

    services = affected(root, [root / "services" / path for path in changed])

    assert [service.name for service in services] == names.split()


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("app.py", True),
        ("001_a.sql", True),
        (".#app.py", False),
        ("app.py~", False),
        ("app.pyc", False),
        ("4913", False),
    ],
)
def test_what_editors_leave_is_no_source(name: str, is_one: bool) -> None:  # noqa: FBT001  # a table's column
    assert is_source(Path("/checkout/services/auth") / name) is is_one


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"x = 1\n", ""),
        (b"x = 1\ndef broken(:\n", "services/auth/app.py, line 2: "),
        (b"x = '\xff'\n", "services/auth/app.py, line 1: "),
        (b"x = 1\x00\n", "services/auth/app.py"),
    ],
    ids=["fine", "syntax", "not text", "NUL"],
)
def test_what_python_cannot_read_is_said_in_one_line(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "services" / "auth" / "app.py"
    path.parent.mkdir(parents=True)
    path.write_bytes(text)

    problem = syntax_problem(tmp_path, [path, path.with_name("gone.py"), path.with_name("x.sql")])

    assert problem.startswith(said)
    assert bool(problem) is bool(said)
    assert "\n" not in problem


async def test_a_saved_file_is_noticed_and_bytecode_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "services" / "chat"
    (folder / "__pycache__").mkdir(parents=True)
    changes = changed_files(tmp_path)
    seen: set[Path] = set()
    # The watch begins with the first await, so files are written until one of them is seen.
    import asyncio

    first = asyncio.ensure_future(anext(changes))
    number = 0
    while not first.done():
        number += 1
        (folder / "__pycache__" / f"a{number}.pyc").write_text("x")
        (folder / f"a{number}.py").write_text("x = 1")
        await asyncio.wait({first}, timeout=0.1)
    seen |= first.result()
    await changes.aclose()  # type: ignore[attr-defined]

    assert seen
    assert {path.suffix for path in seen} == {".py"}
