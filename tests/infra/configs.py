"""Hold stack configs that tests start from, as the engine hands them over."""

from __future__ import annotations

import json

DIGEST = "sha256:" + "a1" * 32
IMAGES = {name: f"stampchat.local/{name}@{DIGEST}" for name in ("services", "postgres", "gateway")}

# Distinct made-up secrets, so that a test can look for each of them everywhere.
PASSWORDS = {"auth": "auth-pass-0c1f", "chat": "chat-pass-7b2e", "notifications": "notif-pass-55aa"}
SERVICE_ACCOUNT = json.dumps(
    {"type": "service_account", "project_id": "stampchat-test", "private_key": "-----BEGIN-made-up-4d3c-----"}
)

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
