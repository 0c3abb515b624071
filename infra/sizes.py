"""Say what each container is promised and what it may take: all of stack dev fits a laptop of two cores."""

from __future__ import annotations

from infra.builders.container import Size

# Limits leave room to start at full speed; requests are what each uses when idle and a little more.
POSTGRES = Size(cpu="50m", memory="96Mi", cpu_limit="2", memory_limit="512Mi")
POSTGRES_DISK = "1Gi"
GATEWAY = Size(cpu="50m", memory="64Mi", cpu_limit="2", memory_limit="256Mi")
SERVICE = Size(cpu="100m", memory="96Mi", cpu_limit="2", memory_limit="384Mi")
HOSTED_SERVICE = Size(cpu="250m", memory="256Mi", cpu_limit="2", memory_limit="1Gi")
