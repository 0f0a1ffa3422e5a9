"""People on an app while releases happen under them, and what the operator has left behind when they have gone home."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.harness.browser import Browser
from tests.harness.cluster import Json, Team
from tests.harness.commits import Committed
from tests.harness.live import session_of
from tests.harness.sessions import LiveSession


@dataclass
class Visitor:
    """A person with an open tab who keeps using it, once a second."""

    session: LiveSession
    answers: int = 0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def keep_using(self) -> None:
        """Type a number, fetch the page's file, wait a second, again; the first failure ends it and is recorded."""
        for n in range(1, 100_000):
            await self.session.set_input(n % 1000)
            await self.session.fetch_asset()
            self.answers += 1
            await asyncio.sleep(1)  # a person's pace


@asynccontextmanager
async def visiting(team: Team, name: str, image_key: str) -> AsyncIterator[Visitor]:
    """Somebody works in a tab inside the block; the tab is closed at its end, or before."""
    async with Browser(team.host(name)) as browser:
        visitor = Visitor(session_of(image_key)(browser, timeout=30))
        await visitor.session.open()
        visitor.task = asyncio.create_task(visitor.keep_using())
        try:
            yield visitor
        finally:
            await leave(visitor)


async def leave(visitor: Visitor) -> None:
    """Close the tab. A failure that its user saw stays in `failures`."""
    assert visitor.task is not None
    visitor.task.cancel()
    with suppress(asyncio.CancelledError, AssertionError):
        await visitor.task
    await visitor.session.close()


async def sees(team: Team, name: str) -> str:
    """The release that a new visitor gets."""
    async with Browser(team.host(name)) as browser:
        page = await browser.load_page()
        return str(page.release)


def children(team: Team | Committed, name: str) -> list[str]:
    """Everything that the operator made for an app and that still is there."""
    kinds = ("replicasets", "deployments", "horizontalpodautoscalers", "services", "httproutes", "pods")
    found = [
        f"{kind}/{_name(kind, item['metadata'])}"
        for kind in kinds
        for item in team.kube.list(kind, team.namespace, f"dataapps.dev/app={name}")
    ]
    return [entry.replace(f"/{name}-", "/") for entry in sorted(found)]


def _name(kind: str, metadata: Json) -> str:
    """The name of a part; of a pod, whose own name is a matter of chance, its owner's while it has one."""
    owners = metadata.get("ownerReferences") if kind == "pods" else None
    return str((owners or [metadata])[0]["name"])
