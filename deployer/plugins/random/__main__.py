"""Start the plugin: the engine runs this as `pulumi-resource-random`."""

from __future__ import annotations

from deployer.plugins.bare import lighten


def main() -> None:
    """Serve until the engine is gone."""
    lighten()
    from pulumi.runtime.proto import provider_pb2_grpc

    from deployer.plugins.random.provider import RandomProvider
    from deployer.plugins.rpc import serve

    serve(lambda _engine: RandomProvider(), provider_pb2_grpc.add_ResourceProviderServicer_to_server)


if __name__ == "__main__":
    main()
