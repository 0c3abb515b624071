"""Run the auth service, or its migrations: python -m services.auth [migrate]."""

from __future__ import annotations

import sys
from pathlib import Path

from services.auth.app import open_apps
from services.auth.settings import load_settings
from services.serve import Service, main

SERVICE = Service(
    name="auth",
    load_settings=load_settings,
    open_apps=open_apps,
    migrations=Path(__file__).parent / "migrations",
)

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
