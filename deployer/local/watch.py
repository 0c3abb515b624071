"""Notice changed sources, and know which services they belong to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from deployer.local.layout import AUTH, SERVICES, Service

_FOLDERS = ("services", "web")
_SOURCES = (".py", ".sql", ".js", ".css", ".html", ".svg", ".json")
# Milliseconds: an editor writes a file in several steps, a checkout of another branch many files.
_DEBOUNCE = 200
_STEP = 50


async def changed_files(root: Path) -> AsyncIterator[set[Path]]:
    """Yield the sources under services/ and web/ that changed, batch by batch.

    Args:
        root: the checkout.

    Raises:
        OSError: a folder cannot be watched.
    """
    from watchfiles import awatch

    folders = [root / name for name in _FOLDERS if (root / name).is_dir()]
    async for changes in awatch(
        *folders, watch_filter=lambda _, path: is_source(Path(path)), debounce=_DEBOUNCE, step=_STEP, rust_timeout=1000
    ):
        yield {Path(path) for _, path in changes}


def is_source(path: Path) -> bool:
    """Tell whether a file is one that services, or the page, are made from; what editors leave beside it is not."""
    return path.suffix in _SOURCES and not path.name.startswith(".")


def affected(root: Path, changed: Iterable[Path]) -> list[Service]:
    """Return the services that a change concerns: its own for a folder, auth for the page, all for what they share."""
    own = {service.name: service for service in SERVICES}
    page = [AUTH] if is_page(root, changed) else []
    folders = {path.relative_to(root / "services").parts[0] for path in changed if (root / "services") in path.parents}
    if folders - set(own):
        return list(SERVICES)
    return [service for service in SERVICES if service.name in folders or service in page]


def is_page(root: Path, changed: Iterable[Path]) -> bool:
    """Tell whether the page has to be built anew."""
    return any((root / "web") in path.parents for path in changed)


def syntax_problem(root: Path, changed: Iterable[Path]) -> str:
    """Return what Python cannot read in changed files, as one line, or nothing.

    Args:
        root: the checkout.
        changed: files of it, which may be gone.
    """
    for path in sorted(changed):
        if path.suffix != ".py" or not path.exists():
            continue
        try:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"{path.relative_to(root)}, line {error.lineno}: {error.msg}"
        except (ValueError, OSError) as error:
            return f"{path.relative_to(root)}: {error}"
    return ""
