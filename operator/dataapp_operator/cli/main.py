"""The command line itself: which commands there are, what may be typed with each, and whom it is handed to."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Annotated

import typer

from dataapp_operator.cli import asking, moments, screens, words
from dataapp_operator.cli.errors import INTERRUPTED, UsageError
from dataapp_operator.cli.kubectl import Kubectl
from dataapp_operator.cli.situation import Request
from dataapp_operator.cli.voice import Voice

Name = Annotated[str, typer.Argument(metavar="APP", help="The app (DataApp).")]
Where = Annotated[
    str | None, typer.Argument(metavar="ENV", help="The environment; to be left out where there is only one.")
]
Context = Annotated[str | None, typer.Option("--context", help="The kubeconfig's context, as for kubectl.")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="The kubeconfig, as for kubectl.")]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="The namespace, as for kubectl.")]
Number = Annotated[str | None, typer.Option("--release", metavar="N", help="The release that is meant, like 14.")]
Patience = Annotated[
    str, typer.Option("--timeout", help="How long to wait for the operator's answer, like 30s; with 0 not at all.")
]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Shows data apps with their environments and releases, and tells the operator what to do with them.",
)


@dataclass(frozen=True, slots=True)
class Given:
    """What was typed before the command, and how the program is called."""

    context: str | None = None
    kubeconfig: str | None = None
    namespace: str | None = None
    program: str = "dataapp"

    def kubectl(self, context: str | None, kubeconfig: str | None, namespace: str | None) -> Kubectl:
        """The kubectl to ask, with what was typed after the command, else before it."""
        return Kubectl.of(
            context=context or self.context,
            kubeconfig=kubeconfig or self.kubeconfig,
            namespace=namespace or self.namespace,
        )


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it
    if wanted:
        Voice().tell(version("dataapp-operator"))
        raise typer.Exit


@app.callback()
def _before(
    ctx: typer.Context,
    *,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = None,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say which version this is.")
    ] = False,
) -> None:
    given = ctx.obj if isinstance(ctx.obj, Given) else Given()
    ctx.obj = replace(given, context=context, kubeconfig=kubeconfig, namespace=namespace)


@app.command()
def status(
    ctx: typer.Context,
    name: Name,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show each change.")] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = None,
) -> None:
    """Show an app: its environments and releases."""
    kubectl = ctx.obj.kubectl(context, kubeconfig, namespace)
    try:
        raise typer.Exit(screens.show_status(kubectl, name, Voice(ctx.obj.program), watch=watch))
    except KeyboardInterrupt:
        # Looking has no other end: for --watch, Ctrl-C is how it is left.
        raise typer.Exit(0 if watch else INTERRUPTED) from None


@app.command("list")
def list_apps(
    ctx: typer.Context,
    *,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")] = False,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = None,
) -> None:
    """List the apps, a line for each environment."""
    kubectl = ctx.obj.kubectl(context, kubeconfig, namespace)
    raise typer.Exit(screens.show_list(kubectl, Voice(ctx.obj.program), everywhere=everywhere))


def _ask(given: Given, kubectl: Kubectl, name: str, request: Request, timeout: str) -> None:
    patience = moments.duration(timeout)
    if patience is None:
        raise UsageError(f"--timeout is a length of time such as 30s or 2m, and not {timeout!r}")
    voice = Voice(given.program)
    try:
        code = asking.ask(kubectl, name, request, voice, patience=patience)
    except KeyboardInterrupt:
        voice.note("not waited for any longer; what was written down stays so")
        code = INTERRUPTED
    raise typer.Exit(code)


def _command_of_environment(command: str, says: str) -> None:
    @app.command(command, help=says)
    def run(
        ctx: typer.Context,
        name: Name,
        env: Where = None,
        *,
        release: Number = None,
        timeout: Patience = "30s",
        context: Context = None,
        kubeconfig: Kubeconfig = None,
        namespace: Namespace = None,
    ) -> None:
        kubectl = ctx.obj.kubectl(context, kubeconfig, namespace)
        _ask(ctx.obj, kubectl, name, Request(command, env, release), timeout)


def _command_of_app(command: str, says: str) -> None:
    @app.command(command, help=says)
    def run(
        ctx: typer.Context,
        name: Name,
        *,
        timeout: Patience = "30s",
        context: Context = None,
        kubeconfig: Kubeconfig = None,
        namespace: Namespace = None,
    ) -> None:
        kubectl = ctx.obj.kubectl(context, kubeconfig, namespace)
        _ask(ctx.obj, kubectl, name, Request(command), timeout)


_command_of_environment(words.PROMOTE, "Let what the environment before has go on to ENV.")
_command_of_environment(words.PROMOTE_FULL, "Skip the remaining steps, but no checks.")
_command_of_environment(words.PAUSE, "Keep the release on its way where it is.")
_command_of_environment(words.RESUME, "End a pause, or go on from a step that waits for it.")
_command_of_environment(words.ABORT, "Give up the release on its way.")
_command_of_environment(words.RETRY, "Try the newest release that failed once more.")


@app.command(words.ROLLBACK)
def rollback(
    ctx: typer.Context,
    name: Name,
    env: Where = None,
    *,
    to: Annotated[str | None, typer.Option("--to", metavar="N", help="By default the release before.")] = None,
    release: Number = None,
    timeout: Patience = "30s",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    namespace: Namespace = None,
) -> None:
    """Take the release that serves back."""
    kubectl = ctx.obj.kubectl(context, kubeconfig, namespace)
    _ask(ctx.obj, kubectl, name, Request(words.ROLLBACK, env, release, to), timeout)


_command_of_environment(words.RESTART, "Release the same once more, with new pods.")
_command_of_app(words.SUSPEND, "Let nothing new begin; what runs goes on.")
_command_of_app(words.UNSUSPEND, "Let new releases begin again.")
