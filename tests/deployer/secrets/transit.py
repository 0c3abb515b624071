"""A stand-in for Vault's transit engine: its HTTP protocol over a real socket, with real encryption, and no Vault.

It answers what a client of the engine asks: encrypt, decrypt and rotate, by a token, each key by its versions.
https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

from __future__ import annotations

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class RefusalError(Exception):
    """Be an answer of Vault's that is an error.

    Args:
        status: of HTTP.
        words: as Vault has them.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class StandInTransit:
    """Keep keys, and serve them to whoever has a token.

    Attributes:
        tokens: who may ask.
        asked: the path of every request, in their order.
    """

    def __init__(self, *keys: str) -> None:
        self.tokens = {"s.of-the-team"}
        self.asked: list[str] = []
        self._keys = {key: [AESGCM.generate_key(256)] for key in keys}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the data of an answer.

        Raises:
            RefusalError: as Vault would.
        """
        self.asked.append(path)
        if token not in self.tokens:
            raise RefusalError(403, "permission denied")
        operation, _, key = path.removeprefix("/v1/transit/").partition("/")
        if key.endswith("/rotate") and operation == "keys":
            self._keys[key.removesuffix("/rotate")].append(AESGCM.generate_key(256))
            return {}
        if key not in self._keys:
            raise RefusalError(400, "encryption key not found")
        if operation == "encrypt":
            return {"ciphertext": self._seal(key, base64.b64decode(body["plaintext"]))}
        if operation == "decrypt":
            return {"plaintext": base64.b64encode(self._open(key, str(body["ciphertext"]))).decode()}
        raise RefusalError(404, "")

    def _seal(self, key: str, plain: bytes) -> str:
        nonce = os.urandom(_NONCE)
        sealed = nonce + AESGCM(self._keys[key][-1]).encrypt(nonce, plain, None)
        return f"vault:v{len(self._keys[key])}:{base64.b64encode(sealed).decode()}"

    def _open(self, key: str, ciphertext: str) -> bytes:
        _, version, encoded = ciphertext.split(":")
        sealed = base64.b64decode(encoded)
        try:
            return AESGCM(self._keys[key][int(version[1:]) - 1]).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except InvalidTag as error:
            raise RefusalError(400, "cipher: message authentication failed") from error


def _handler(transit: StandInTransit) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            try:
                status = 200
                told: dict[str, Any] = {"data": transit.answer(self.path, self.headers.get("X-Vault-Token", ""), body)}
            except RefusalError as refusal:
                status, told = refusal.status, {"errors": [refusal.words]}
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT  # noqa: N815  # the name that its base calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that it has above
            """Say nothing."""

    return Handler
