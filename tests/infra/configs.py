"""Hold stack configs that tests start from, as the engine hands them over."""

from __future__ import annotations

import datetime as dt
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

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


def make_authority() -> str:
    """Make a certificate of an authority, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "databases")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


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
# The web page, which is off in prod unless somebody wants it.
FIREBASE_WEB: dict[str, str] = {
    "apiKey": "AIza" + "x" * 35,
    "authDomain": "stampchat-test.firebaseapp.com",
    "projectId": "stampchat-test",
    "storageBucket": "stampchat-test.firebasestorage.app",
    "messagingSenderId": "100000000000",
    "appId": "1:100000000000:web:0123456789abcdef012345",
}
WITH_PAGE = {**PROD, "stampchat:web": json.dumps({"enabled": True, "firebase": FIREBASE_WEB})}
PROD_GATEWAY_API = {**PROD, "stampchat:gateway": json.dumps({"kind": "gateway-api"})}
# The chat's pods tell each other by NATS, or by their database past its pooler.
BUS_PASSWORD = "bus-pass-4a7d"  # made up
NATS_URL = f"nats://chat:{BUS_PASSWORD}@nats.messaging.svc:4223"
WITH_NATS = {**PROD, "stampchat:bus": '{"kind": "nats", "name": "rooms_2"}', "stampchat:busUrl": NATS_URL}
PAST_POOLER = {
    **PROD,
    "stampchat:busUrl": f"postgresql://app:{BUS_PASSWORD}@chat.db.cloud:5434/stamp_chat?sslmode=require",
}
# Everything that is off by default.
OWNER_PASSWORD = "owner-pass-91d0"  # made up
OWNER_URL = f"postgresql://owner:{OWNER_PASSWORD}@chat.db.cloud:5433/stamp_chat?sslmode=verify-full"
OPTIONS = {
    "stampchat:platform": '{"install": true}',
    "stampchat:autoscaling": '{"sockets": 4000}',
    "stampchat:otlpEndpoint": "http://collector.tracing.svc:4318",
    "stampchat:observability": json.dumps(
        {"kind": "prometheus-operator", "namespace": "watching", "labels": {"release": "kube-prometheus-stack"}}
    ),
    "stampchat:databaseCa": make_authority(),
    "stampchat:chatMigrateDatabaseUrl": OWNER_URL,
}
