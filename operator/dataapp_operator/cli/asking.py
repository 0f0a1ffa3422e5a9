"""Giving a command: look, decide, write it down if nothing changed meanwhile, and wait for the operator's answer.

Waiting is watching: the answer is seen when it is written. A command that was written down stays so whether or not the
operator answers in time; it may be away, and does it when it is back.
"""

import time
from datetime import UTC, datetime

from dataapp_operator.cli import answers, commands, looking, reading
from dataapp_operator.cli.errors import UNANSWERED, CliError, Conflict, NotFound
from dataapp_operator.cli.kubectl import APPS, Kubectl
from dataapp_operator.cli.situation import Decision, Expected, Request
from dataapp_operator.cli.view import App
from dataapp_operator.cli.voice import Voice
from dataapp_operator.cli.watching import Watch

TRIES = 5
"""Looks at an app that changes under us, each followed by a try to write."""


def ask(kubectl: Kubectl, name: str, request: Request, voice: Voice, *, patience: float) -> int:
    """Give a command and wait for the answer, for ``patience`` seconds. Returns the exit code."""
    app, decision = _write_down(kubectl, name, request)
    voice.note(decision.words)
    if decision.expected is None or patience <= 0:
        return 0  # there is no more to see, or nobody who wants to wait for it
    said = _wait(kubectl, app, decision.expected, patience)
    if said is not None:
        voice.tell(said)
        return 0
    where = f"{app.name} -n {app.namespace}" if app.namespace else app.name
    voice.note(
        f"it is written down, but the operator has not answered within {patience:g} s. It does it when it can:"
        f" `{voice.program} status {where}` shows the answer. Does the operator run?"
        " `kubectl get pods -A -l app.kubernetes.io/name=dataapp-operator`"
    )
    return UNANSWERED


def _write_down(kubectl: Kubectl, name: str, request: Request) -> tuple[App, Decision]:
    """The app as it was just before, and what was written. Somebody else's word is never written over unseen."""
    for _ in range(TRIES):
        app = reading.app(looking.app(kubectl, name))
        records = reading.releases(looking.records(kubectl, name))
        decision = commands.decide(request, app, records, datetime.now(UTC))
        if not decision.changes:
            return app, decision
        try:
            kubectl.annotate(APPS, name, decision.changes, version=app.version)
        except Conflict:
            continue
        return app, decision
    raise CliError(
        f"{name} changed between our look and our write, {TRIES} times in a row; nothing was written. Try it again in a moment"
    )


def _wait(kubectl: Kubectl, before: App, expected: Expected, patience: float) -> str | None:
    until = time.monotonic() + patience
    with Watch(kubectl, (looking.app_source(before.name),)) as watch:
        while (left := until - time.monotonic()) > 0:
            try:
                news = watch.next(left) and not watch.trouble
            except NotFound:
                news = True
            found = watch.objects.of(APPS)
            if news and not found:
                raise CliError(f"{before.name} was deleted before the operator answered")
            for item in found:
                said = answers.told(expected, before, reading.app(item), datetime.now(UTC))
                if said is not None:
                    return said
    return None
