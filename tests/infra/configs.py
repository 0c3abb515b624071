"""Hold stack configs that tests start from, as the engine hands them over."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

DIGEST = "sha256:" + "a1" * 32
IMAGES = {name: f"stampchat.local/{name}@{DIGEST}" for name in ("services", "postgres", "gateway")}

# Distinct made-up secrets, so that a test can look for each of them everywhere.
PASSWORDS = {"auth": "auth-pass-0c1f", "chat": "chat-pass-7b2e", "notifications": "notif-pass-55aa"}


def make_service_account(**changed: object) -> str:
    """Make a service account's file as Google's console writes it, with a key of its own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "project_id": "stampchat-test",
        "private_key_id": "4d3c" * 10,
        "private_key": pem,
        "client_email": "firebase-adminsdk-made@stampchat-test.iam.gserviceaccount.com",
        "client_id": "100000000000000000000",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    kept = {name: value for name, value in {**account, **changed}.items() if value is not None}
    return json.dumps(kept)


SERVICE_ACCOUNT = make_service_account()

DEV = {"stampchat:place": "dev"}
PROD = {
    "stampchat:place": "prod",
    "stampchat:context": "managed",
    "stampchat:hostname": "chat.stampchat.app",
    "stampchat:acme": json.dumps({"server": "staging", "email": "ops@stampchat.app"}),
    "stampchat:login": '["google"]',
    "stampchat:firebaseProjectId": "stampchat-test",
    "stampchat:push": "fcm",
    "stampchat:firebaseServiceAccount": SERVICE_ACCOUNT,
    **{
        f"stampchat:{service}DatabaseUrl": f"postgresql://app:{password}@{service}.db.cloud:6432/stamp_chat?sslmode=require"
        for service, password in PASSWORDS.items()
    },
}
PROD_GATEWAY_API = {**PROD, "stampchat:gateway": json.dumps({"kind": "gateway-api"})}
