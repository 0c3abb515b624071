"""Make the layers of the services' image: Python, the packages, our code."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from deployer.errors import ProcessError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.images.debian import read_packages
from deployer.images.tree import extract, lay_out, read_wheel
from deployer.oci import Entry, Layer

_LIBRARY = "usr/lib/python3.11"
_SITE = "app/site"

# Sources of extension modules and their types, the packages' own tests, and programs that nobody starts in a Pod.
_UNUSED = ("*.pyx", "*.pxd", "*.pxi", "*.pyi", "*.c", "*.h", "*/tests/*", "*.data/*")

# An allow list, so that a key, a .env file or an editor's leavings beside the code never get into an image.
_CODE = (".py", ".sql")


class Interpreter:
    """Run the image's own Python on this machine, so that bytecode does not depend on the machine's.

    Args:
        root: a folder that holds the base and the Python layer.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def compile(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return the bytecode of the Python files among entries, never checked against its source again.

        With a read-only root Python could not write it, and would compile everything at each start.

        Args:
            entries: files of a layer.

        Raises:
            ProcessError: a file is no Python.
        """
        with TemporaryDirectory(prefix="stampchat-compile-") as folder:
            sources = [entry for entry in entries if entry.kind == "file" and entry.name.endswith(".py")]
            lay_out(sources, Path(folder))
            self._compile_folder(folder)
            made = sorted(Path(folder).rglob("*.pyc"))
            return [Entry(str(path.relative_to(folder)), source=path.read_bytes()) for path in made]

    def _compile_folder(self, folder: str) -> None:
        libraries = next((self._root / "usr/lib").glob("*-linux-gnu"))
        # Not by the link in lib64: it is absolute, and would be this machine's own loader.
        loader = next(libraries.glob("ld-linux-*.so.*"))
        python = [str(loader), "--library-path", str(libraries), str(self._root / "usr/bin/python3.11"), "-S", "-B"]
        options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", folder, "-p", "/"]
        environment = {"PYTHONHOME": str(self._root / "usr"), "PYTHONUTF8": "1", "PYTHONHASHSEED": "0"}
        command = [*python, "-m", "compileall", *options, folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).replace(f"{folder}/", "")
            raise ProcessError(["python3.11", "-m", "compileall", *options[:3]], status=done.returncode, output=said)


def load_interpreter(folder: Path, layers: Sequence[Layer]) -> Interpreter:
    """Unpack the image's Python once.

    Args:
        folder: where it is kept.
        layers: the base and the Python layer.
    """
    with exclusive(folder):
        if not folder.is_dir():
            with staging(folder) as fresh:
                extract(layers, fresh / "root")
                replace_folder(fresh / "root", folder)
    return Interpreter(folder)


def python_entries(
    base_debs: Sequence[Path], debs: Sequence[Path], foreign: Interpreter | None = None
) -> Iterable[Entry]:
    """Return Python with the bytecode that Debian's scripts would make at installation.

    Args:
        base_debs: the packages of the base layer, which Python's libraries are partly in.
        debs: the packages of versions.toml's images.python.
        foreign: compiles, where the packages are another processor's and must not be run; they compile themselves else.
    """
    entries = read_packages(debs)
    library = [entry for name, entry in entries.items() if name.startswith(f"{_LIBRARY}/")]
    if foreign is not None:
        return [*entries.values(), *foreign.compile(library)]
    with TemporaryDirectory(prefix="stampchat-python-") as root:
        lay_out({**read_packages(base_debs), **entries}.values(), Path(root))
        return [*entries.values(), *Interpreter(Path(root)).compile(library)]


def site_entries(wheels: Sequence[Path], interpreter: Interpreter) -> Iterable[Entry]:
    """Return the packages in /app/site.

    Args:
        wheels: of the services' lock file.
        interpreter: compiles them.
    """
    files: dict[str, bytes] = {}
    for wheel in wheels:
        files.update(read_wheel(wheel))
    used = {name: content for name, content in files.items() if not any(fnmatch(name, each) for each in _UNUSED)}
    entries = [
        Entry(f"{_SITE}/{name}", mode=0o755 if ".so" in name else 0o644, source=content)
        for name, content in used.items()
    ]
    return [*entries, *interpreter.compile(entries)]


def read_code(package: Path) -> dict[str, bytes]:
    """Return the source files of a package that belong into an image, by their path beside it.

    Args:
        package: the folder "services".
    """
    found = sorted(path for path in package.rglob("*") if path.suffix in _CODE and path.is_file())
    names = {path: path.relative_to(package.parent) for path in found}
    return {
        str(name): path.read_bytes()
        for path, name in names.items()
        if "tests" not in name.parts and not any(part.startswith(".") for part in name.parts)
    }


def code_entries(files: Mapping[str, bytes], interpreter: Interpreter) -> Iterable[Entry]:
    """Return our code in /app.

    Args:
        files: what read_code returned.
        interpreter: compiles them.
    """
    entries = [Entry(f"app/{name}", source=content) for name, content in files.items()]
    return [*entries, *interpreter.compile(entries)]
