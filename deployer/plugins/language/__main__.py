"""Start the language host: the engine runs this as `pulumi-language-python`."""

from __future__ import annotations

import sys

from deployer.plugins.bare import lighten


def main() -> None:
    """Serve until the engine is gone."""
    lighten()
    from pulumi.runtime.proto import language_pb2_grpc

    from deployer.plugins.language.host import LanguageHost
    from deployer.plugins.language.program import Programs
    from deployer.plugins.rpc import serve

    programs = Programs()
    if len(sys.argv) == 1:  # nobody waits for an answer yet
        programs.prepare()
    serve(
        lambda engine: LanguageHost(engine, programs),
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server,
        on_exit=programs.kill,
    )


if __name__ == "__main__":
    main()
