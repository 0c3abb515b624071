"""Gather the verbs, and turn what fails into one paragraph and an exit code."""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from typing import Annotated

import typer

from cli import (
    backup,
    bundle,
    cluster,
    destroy,
    dns,
    doctor,
    drift,
    env,
    graph,
    history,
    images,
    local,
    logs,
    outputs,
    preview,
    render,
    secrets,
    secrets_import,
    smoke,
    status,
    test,
    top,
    uninstall,
    up,
    version,
)
from cli.context import Settings
from deployer.errors import StoppedError

app = typer.Typer(
    name="stampchat",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "[bold]Begin[/bold]   ./stampchat up, then ./stampchat smoke\n\n"
        "[bold]Production[/bold]   ./stampchat secrets init, preview prod, up prod, dns prod\n\n"
        "[bold]Exit codes[/bold]   0 done, 1 failed, 2 misused, 3 drift found, 130 stopped by Ctrl-C"
    ),
)

_MAY_NOT = (
    "this user may not do that",
    "Run it as who owns it (`sudo` where that is root), or name folders of your own: STAMPCHAT_HOME, STAMPCHAT_CACHE.",
)
# What is no fault of ours wherever it happens, and the way on.
_OF_THE_MACHINE = {
    errno.ENOSPC: ("the disk is full", "Make room and start again; what is half-written is written anew."),
    errno.EROFS: ("the disk cannot be written to", "Name folders elsewhere: STAMPCHAT_HOME, STAMPCHAT_CACHE."),
    errno.EACCES: _MAY_NOT,
    errno.EPERM: _MAY_NOT,
}

_ANYWHERE = ("--debug", "--quiet", "-q")
_STACK_OPTIONS = ("--stack", "-s")
# Verbs that take the stack as their first word, and by option as the others do.
STACK_VERBS = (
    *("up", "preview", "rollback", "destroy", "smoke", "status", "dns", "drift", "history", "outputs", "graph", "env"),
    *("top", "render", "unlock", "backup", "restore"),
)
DEPLOY = "Deploy"
WORK = "Work on it"
LOOK = "Look"
PARTS = "Parts and upkeep"

app.command(rich_help_panel=DEPLOY)(up.up)
app.command(rich_help_panel=DEPLOY)(preview.preview)
app.command(rich_help_panel=DEPLOY)(history.rollback)
app.command(rich_help_panel=DEPLOY)(destroy.destroy)
app.command(rich_help_panel=WORK)(local.local)
app.command(rich_help_panel=LOOK)(doctor.doctor)
app.command(rich_help_panel=LOOK)(smoke.smoke)
app.command(rich_help_panel=LOOK)(status.status)
app.command(rich_help_panel=LOOK)(top.top)
app.command(rich_help_panel=LOOK)(logs.logs)
app.command(rich_help_panel=LOOK)(dns.dns)
app.command(rich_help_panel=LOOK)(drift.drift)
app.command(rich_help_panel=LOOK)(history.history)
app.command(rich_help_panel=LOOK)(outputs.outputs)
app.command(rich_help_panel=LOOK)(graph.graph)
app.command(rich_help_panel=LOOK)(env.env)
app.add_typer(cluster.app, name="cluster", rich_help_panel=PARTS)
app.add_typer(images.app, name="images", rich_help_panel=PARTS)
app.command(rich_help_panel=PARTS)(render.render)
secrets.app.command("import")(secrets_import.import_original)
app.add_typer(secrets.app, name="secrets", rich_help_panel=PARTS)
app.command(rich_help_panel=PARTS, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    test.test
)
app.command(rich_help_panel=PARTS)(backup.backup)
app.command(rich_help_panel=PARTS)(backup.restore)
app.command(rich_help_panel=PARTS)(bundle.bundle)
app.command(rich_help_panel=PARTS)(history.unlock)
app.command(rich_help_panel=PARTS)(uninstall.uninstall)
app.command(rich_help_panel=PARTS)(version.version)


@app.callback()
def options(
    context: typer.Context,
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in our own code a failure came from.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress; results and errors only.")] = False,
) -> None:
    """From a bare machine to a chatting deployment, and back.

    Stack [bold]dev[/bold] makes its own Kubernetes cluster on this machine (Linux, root) and answers at port 8080.
    Nothing is installed: [bold]cluster down[/bold] and [bold]uninstall[/bold] take all of it away.

    Stack [bold]prod[/bold] goes to a managed cluster of yours: docs/production.md leads there, from an empty account.
    """
    context.obj = Settings(debug=debug, quiet=quiet)


def main() -> int:
    """Run the command line and return its exit code; the only place where our errors are caught."""
    # An ordinary kill and a closed terminal end a command as Ctrl-C does: in good order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        app(hoist(sys.argv[1:]), prog_name="./stampchat")
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
        if code == StoppedError.exit_code:
            # The parser leaves without a word.
            sys.stderr.write("stampchat: stopped.\n")
        return code
    except Exception as error:  # noqa: BLE001  # the one edge: whatever comes becomes a paragraph
        return _report(error)
    return 0


def hoist(words: list[str]) -> list[str]:
    """Put words where the parser looks for them, as people write them anywhere; all of `test`'s go to pytest.

    The global options go in front of the verb, and what `--stack` names right behind it.
    """
    verb = next((word for word in words if not word.startswith("-")), None)
    if verb == "test":
        return words
    anywhere = [word for word in words if word in _ANYWHERE]
    others = [word for word in words if word not in _ANYWHERE]
    return [*anywhere, *(_place_stack(others) if verb in STACK_VERBS else others)]


def _place_stack(words: list[str]) -> list[str]:
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in _STACK_OPTIONS and (equals or at + 1 < len(words)):
            named, rest = (value, words[at + 1 :]) if equals else (words[at + 1], words[at + 2 :])
            verb, *others = [*words[:at], *rest]
            return [verb, named, *others]
    return words


def _report(error: Exception) -> int:
    from deployer.errors import DeployError

    if "--debug" in sys.argv:
        traceback.print_exception(error)
    if isinstance(error, DeployError):
        sys.stderr.write(f"stampchat: {error}\n")
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        what, advice = _OF_THE_MACHINE[error.errno]
        sys.stderr.write(f"stampchat: {what} ({error.filename or 'no file named'}).\n{advice}\n")
        return 1
    if "--debug" not in sys.argv:
        last = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(
            f"stampchat: a fault of our own: {type(error).__name__}: {error} ({last.filename}:{last.lineno})\n"
        )
        sys.stderr.write("`./stampchat --debug …` shows more; please report it.\n")
    return 1
