"""``status`` and ``list``: what is shown, once or for as long as somebody looks.

On a terminal the tree stays where it is and changes there; anywhere else it is printed anew with each change, so that a
log of it can be read from top to bottom.
"""

import contextlib
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from dataapp_operator.cli import drawing, looking, reading, table, tree
from dataapp_operator.cli.errors import NotFound
from dataapp_operator.cli.kubectl import APPS, RELEASES, Kubectl
from dataapp_operator.cli.stream import Objects
from dataapp_operator.cli.tree import Sight
from dataapp_operator.cli.voice import Voice
from dataapp_operator.cli.watching import Watch

_TICK = 10.0
"""Seconds after which the tree is drawn again on a terminal though nothing happened: it says how long things take."""


def show_list(kubectl: Kubectl, voice: Voice, *, everywhere: bool) -> int:
    """A line for each environment of each app."""
    apps = [reading.app(item) for item in kubectl.several(APPS, everywhere=everywhere)]
    if not apps:
        where = "in any namespace" if everywhere else "in this namespace; `list -A` shows those of all namespaces"
        voice.note(f"there are no apps {where}")
        return 0
    apps.sort(key=lambda app: (app.namespace, app.name))
    voice.tell("\n".join(table.lines(apps, datetime.now(UTC), with_namespace=everywhere)))
    return 0


def show_status(kubectl: Kubectl, name: str, voice: Voice, *, watch: bool) -> int:
    """An app as a tree; with ``watch`` until the person ends it, or the app is gone."""
    objects = Objects()
    objects.put(APPS, [looking.app(kubectl, name)])
    objects.put(RELEASES, looking.records(kubectl, name))
    sight = _sight(objects)
    assert sight is not None  # noqa: S101 - the app has just been put there
    console = Console(file=voice.out, highlight=False)
    if not watch:
        _print(sight, voice, console)
        return 0
    sources = (looking.app_source(name), looking.records_source(name))
    with contextlib.suppress(NotFound), Watch(kubectl, sources, objects) as watching:
        if voice.on_terminal:
            _live(watching, sight, console)
        else:
            _log(watching, sight, voice, console)
    voice.note(f"{name} is gone")
    return 0


def _sight(objects: Objects, trouble: str = "") -> Sight | None:
    apps = objects.of(APPS)
    return Sight(reading.app(apps[0]), reading.releases(objects.of(RELEASES)), trouble) if apps else None


def _print(sight: Sight, voice: Voice, console: Console) -> None:
    node = tree.draw(sight, datetime.now(UTC))
    if voice.on_terminal:
        console.print(drawing.coloured(node))
    else:
        voice.tell(drawing.plain(node))


def _live(watching: Watch, sight: Sight | None, console: Console) -> None:
    """The same tree in the same place, until the app is gone."""
    with Live(console=console, auto_refresh=False) as live:
        while sight is not None:
            live.update(drawing.coloured(tree.draw(sight, datetime.now(UTC))), refresh=True)
            watching.next(_TICK)
            sight = _sight(watching.objects, watching.trouble)


def _log(watching: Watch, sight: Sight, voice: Voice, console: Console) -> None:
    """The tree once for each change that can be seen, until the app is gone."""
    _print(sight, voice, console)
    seen, now = sight, _sight(watching.objects)
    while now is not None:
        if now != seen:
            voice.tell("")
            _print(now, voice, console)
            seen = now
        watching.next(_TICK)
        now = _sight(watching.objects, watching.trouble)
