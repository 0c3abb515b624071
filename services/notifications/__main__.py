"""Run the notifications service, or its migrations: python -m services.notifications [migrate | dead-letters …]."""

from __future__ import annotations

import sys
from pathlib import Path

from services.notifications import dead_letters
from services.notifications.app import open_apps
from services.notifications.settings import load_settings
from services.serve import Service, main

SERVICE = Service(
    name="notifications",
    load_settings=load_settings,
    open_apps=open_apps,
    migrations=Path(__file__).parent / "migrations",
    commands={"dead-letters": dead_letters.run_command},
)

if __name__ == "__main__":
    sys.exit(main(SERVICE, sys.argv[1:]))
