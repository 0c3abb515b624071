"""Stand in for Google: a Firebase project whose ID tokens and service account are made up, with keys that are real."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT = "stampchat-ground"
KID = "ground-1"
HOUR = 3600


class Google:
    """Sign ID tokens, serve the key that they are verified with, and hand out a service account's file.

    Args:
        address: of this machine, where the cluster reaches it; one that no policy takes for a private network.
        port: the one that policies let out to the internet.
    """

    def __init__(self, address: str, port: int = 443) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.keys_url = f"http://{address}:{port}/keys"
        self._server = ThreadingHTTPServer((address, port), _answer_with(self._jwks()))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def id_token(self, name: str) -> str:
        """Return what an app of somebody who is logged in with Google has."""
        now = int(time.time())
        claims = {
            "iss": f"https://securetoken.google.com/{PROJECT}",
            "aud": PROJECT,
            "sub": f"uid-of-{name}",
            "name": name,
            "iat": now,
            "auth_time": now,
            "exp": now + HOUR,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KID})

    def service_account(self) -> str:
        """Return the JSON file that Firebase's console would hand out."""
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KID,
            "private_key": self._key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            "client_email": f"firebase-adminsdk@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "100000000000000000001",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        return json.dumps(account)

    def _jwks(self) -> bytes:
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KID, "n": _base64(numbers.n), "e": _base64(numbers.e)}
        return json.dumps({"keys": [key]}).encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _answer_with(content: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _base64(number: int) -> str:
    content = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
