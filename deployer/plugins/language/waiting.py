"""Start the language host before the engine needs it: it and the program load while the cluster is looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self


class WaitingHost:
    """Be a language host that waits for an engine, with a Python process in which the program is to run.

    The engine would start two of its own, one after the other. Whatever ends this process ends it as well.

    Args:
        executable: our language host.
        environ: the engine's variables, which its program gets too.
    """

    def __init__(self, executable: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [executable],
            env=os.environ | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # What it has to say it says to the engine.
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def options(self) -> list[str]:
        """Return what tells the engine of it; nothing where it does not run, so that the engine starts its own."""
        assert self._process.stdout is not None  # noqa: S101  # asked for above
        port = self._process.stdout.readline().strip()
        return [f"--client=127.0.0.1:{port}"] if port.isdigit() else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.terminate()
