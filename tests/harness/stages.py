"""Where an app is in its story, told the moment the server tells it: one watch of one DataApp.

A *stage* is read from the only memory that decisions read, `status.environments[]`: the phase of the candidate while
there is one, then `Draining` while an old release is kept for its sessions, `Removing` while parts are taken away, and
at last `Released` or `Failed`. Polling would miss a stage that lasts half a second; a watch does not.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

from tests.harness.cluster import Json, environment
from tests.harness.kubeconfig import following, read_access

_PATH = "apis/dataapps.dev/v1alpha1/namespaces/{}/dataapps"


def stage(app: Json) -> str:
    """The stage of the environment `sandbox`; "" before its first."""
    memory = environment(app)
    if "candidate" in memory:
        return str(memory.get("phase", ""))
    if memory.get("removing"):
        return "Removing"
    if memory.get("draining"):
        return "Draining"
    return str(memory.get("phase") or "")


async def manifests(kubeconfig: Path, namespace: str, name: str) -> AsyncIterator[Json]:
    """The DataApp as it is, and every state after, as the server tells them. Ends when the caller stops asking."""
    async with read_access(kubeconfig).client() as client:
        query = {"watch": "true", "fieldSelector": f"metadata.name={name}", "timeoutSeconds": "600"}
        while True:
            async with following(client, _PATH.format(namespace), query) as answer:
                answer.raise_for_status()
                rest = b""
                async for piece in answer.content.iter_any():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in filter(None, lines):
                        event = json.loads(line)
                        if event["type"] in {"ADDED", "MODIFIED"}:
                            yield event["object"]


class Story:
    """Follows an app's stages in the background: `async with Story(…) as story: await story.until(…)`."""

    def __init__(self, kubeconfig: Path, namespace: str, name: str) -> None:
        self._source = (kubeconfig, namespace, name)
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self.app: Json = {}
        self.seen: list[str] = []
        """The stages in their order, each once when it begins."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            return

    @property
    def stage(self) -> str:
        """The stage now."""
        return self.seen[-1] if self.seen else ""

    async def until(self, holds: Callable[["Story"], object], *, what: str, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until something is so; it is looked at with every state that the server tells."""
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: holds(self) or (self._task is not None and self._task.done()))
        except TimeoutError:
            status = json.dumps(self.app.get("status"), indent=1, ensure_ascii=False)
            name = self._source[2]
            raise AssertionError(f"after {timeout:g} s {name} still is not so: {what}. Its status: {status}") from None
        if self._task is not None and self._task.done():
            self._task.result()  # the watch broke: say how

    async def _follow(self) -> None:
        try:
            async for app in manifests(*self._source):
                async with self._news:
                    self.app = app
                    if stage(app) != self.stage:
                        self.seen.append(stage(app))
                    self._news.notify_all()
        finally:
            async with self._news:
                self._news.notify_all()
