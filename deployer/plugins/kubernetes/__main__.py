"""Start the plugin: the engine runs `python -m deployer.plugins.kubernetes ADDRESS` and reads the port."""

from __future__ import annotations

from deployer.plugins import bare

bare.lighten()

from pulumi.runtime.proto import provider_pb2_grpc  # noqa: E402  # after lighten(), or all of Pulumi is loaded

from deployer.plugins.kubernetes.provider import Provider  # noqa: E402  # the same
from deployer.plugins.rpc import serve  # noqa: E402  # the same

serve(Provider, provider_pb2_grpc.add_ResourceProviderServicer_to_server)
