"""Run the chat service, or its migrations: python -m services.chat [migrate]."""

from __future__ import annotations

import sys
from pathlib import Path

from services.chat.app import open_apps
from services.chat.settings import load_settings
from services.serve import Service, main

SERVICE = Service(
    name="chat",
    load_settings=load_settings,
    open_apps=open_apps,
    migrations=Path(__file__).parent / "migrations",
)

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
