"""Get programs from where they are published: releases, Go modules, Debian and Python packages."""
