"""Breaking a scripted app (`examples/apps/scripted-*`) at a moment of the test's choice, and mending it."""

from typing import Literal

from tests.harness.cluster import Team

Order = Literal["session", "crash", "listen", "errors", "slow"]


def tell(team: Team, name: str, number: int, order: Order, *, slot: str | None = None) -> None:
    """Break every pod of a release, or that of one slot: no session works, or the process ends.

    Or, with the websocket app: nobody listens, or pages fail, or take two seconds, while sessions work.
    """
    _in_each(team, name, number, f"echo {order} > /tmp/break", slot)


def mend(team: Team, name: str, number: int, *, slot: str | None = None) -> None:
    """Let sessions work again. A process that does not listen any more needs a new start for that: its probes see to it."""
    _in_each(team, name, number, "rm -f /tmp/break", slot)


def _in_each(team: Team, name: str, number: int, script: str, slot: str | None = None) -> None:
    which = f"dataapps.dev/app={name},dataapps.dev/release={number}" + (f",dataapps.dev/slot={slot}" if slot else "")
    pods = team.kube.list("pods", team.namespace, which)
    assert pods, f"release {number} of {name} has no pod"
    for pod in pods:
        team.kube.run("exec", pod["metadata"]["name"], "-n", team.namespace, "-c", "app", "--", "sh", "-c", script)
