"""Run `python -m services.auth` as a process of its own, which a test may kill."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.settings import DatabaseSettings, Secret
from services.tokens import Signer, encode_public_key

ROOT = Path(__file__).resolve().parents[3]
# For a machine that does much else meanwhile.
SECONDS = 60


@dataclass(frozen=True)
class AuthProcess:
    """Be a running auth service.

    Attributes:
        public: its public port's address.
        internal: its internal port's address.
        process: to kill.
    """

    public: str
    internal: str
    process: asyncio.subprocess.Process

    async def kill(self) -> None:
        """Send SIGKILL, which leaves it no moment to tidy up."""
        self.process.kill()
        await self.process.wait()


def environment(
    folder: Path, *, database: DatabaseSettings, private_key: Secret, credential: Secret, urls: Mapping[str, str]
) -> dict[str, str]:
    """Mount everything that auth asks for, and return its environment.

    Args:
        folder: where files go.
        database: where its users are.
        private_key: what it signs with.
        credential: of internal calls.
        urls: of the other services, by the setting's name without its prefix.
    """
    signer = Signer(private_key)
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    files = {
        "database_url": database.url.reveal(),
        "private_key": private_key.reveal(),
        "credential": credential.reveal(),
        f"keys/{signer.kid}.pem": encode_public_key(signer.public_key),
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    return {
        "PATH": os.environ["PATH"],
        "STAMPCHAT_HOST": "127.0.0.1",
        "STAMPCHAT_PUBLIC_PORT": "0",
        "STAMPCHAT_INTERNAL_PORT": "0",
        "STAMPCHAT_DATABASE_URL_FILE": str(folder / "database_url"),
        "STAMPCHAT_PRIVATE_KEY_FILE": str(folder / "private_key"),
        "STAMPCHAT_INTERNAL_CREDENTIAL_FILE": str(folder / "credential"),
        "STAMPCHAT_TOKEN_KEYS_DIR": str(keys),
        "STAMPCHAT_LOGIN": "dev",
        **{f"STAMPCHAT_{name}": url for name, url in urls.items()},
    }


@asynccontextmanager
async def auth_process(environ: Mapping[str, str]) -> AsyncIterator[AuthProcess]:
    """Start the service, wait until it serves, and make sure that it ends."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.auth", env=environ, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    assert started.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            async for raw in started.stderr:
                line = json.loads(raw)
                if line["message"] == "serving":
                    break
        # Else the pipe fills up and the service waits in its log.
        drained = asyncio.create_task(started.stderr.read())
        yield AuthProcess(f"http://127.0.0.1:{line['public']}", f"http://127.0.0.1:{line['internal']}", started)
        if started.returncode is None:
            started.kill()
        await drained
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()
