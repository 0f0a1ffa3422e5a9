"""`make bench-git`: what a repository of 100 apps costs, at rest and per commit.

One AppSource reads 100 manifests: 80 apps with a prebuilt image, 20 whose code lies beside the manifest. Nothing of them
runs: the environment class that they ask for does not exist, and the code is no app, so each comes to rest with a sentence
and no pod. What is left is what is measured: look-ups and fetches (the git server's log), writes (the API server's audit
log), and which apps a commit changes (a watch). Then 100 apps are applied by hand that name the same repository.

It has to be alone on the cluster: writes for others are left out, but their work takes time.
"""

import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from bench.report import Target, finish, percentile
from lab.context import Lab
from tests.harness.audit import AuditLog, Call, by_kind, operator_audit
from tests.harness.cluster import OUT, Json, Kube, condition
from tests.harness.commits import SOURCE, Committed
from tests.harness.gitrepo import Repo
from tests.harness.kubeconfig import read_access

APPS, OF_CODE, COMMITS = 100, 20, 20
INTERVAL = 30.0
"""Seconds between two looks of an app that was applied by hand."""
IDLE = 60.0
_DATAAPPS = "apis/dataapps.dev/v1alpha1/namespaces/{}/dataapps"
_APPSOURCES = "apis/dataapps.dev/v1alpha1/namespaces/{}/appsources"
_IMAGE = "registry.example.org/apps/none@sha256:" + "0" * 64
_NOWHERE = [{"name": "sandbox", "class": "there-is-none"}]
_QUIET = 5.0


@dataclass(frozen=True)
class Costs:
    """What happened between two moments."""

    lookups: int
    fetches: int
    writes: list[Call]

    def words(self) -> str:
        """In one line."""
        kinds = ", ".join(f"{number} {verb} {kind}" for (verb, kind), number in by_kind(self.writes).most_common())
        return f"{self.lookups} look-ups, {self.fetches} fetches, {len(self.writes)} writes ({kinds or 'none'})"


@dataclass(frozen=True)
class Meter:
    """The two logs, for one repository and one namespace."""

    repo: Repo
    audit: AuditLog
    namespace: str

    def start(self) -> Callable[[], Costs]:
        """Begin to measure; the result says what it was so far."""
        lookups, fetches, position = self.repo.count("ls-refs"), self.repo.count("fetch"), self.audit.mark()

        def so_far() -> Costs:
            writes = [call for call in self.audit.calls(position) if call.is_write and call.namespace == self.namespace]
            return Costs(self.repo.count("ls-refs") - lookups, self.repo.count("fetch") - fetches, writes)

        return so_far

    async def quiet(self, *, timeout: float = 120) -> None:  # noqa: ASYNC109 - it ends in words
        """Wait until nothing has been written in the namespace for a while."""
        until = time.monotonic() + timeout
        while True:
            so_far = self.start()
            await asyncio.sleep(_QUIET)
            if not so_far().writes:
                return
            assert time.monotonic() < until, f"the operator still writes after {timeout:g} s: {so_far().words()}"


@dataclass
class Watched:
    """Every DataApp of a namespace, as the API server tells of it."""

    client: aiohttp.ClientSession
    namespace: str
    apps: dict[str, Json] = field(default_factory=dict)
    events: list[tuple[float, str]] = field(default_factory=list)
    """When, and which app: changes only."""
    commits: dict[tuple[str, str], float] = field(default_factory=dict)
    """When an app was first seen with a commit."""
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def follow(self) -> None:
        """Watch until cancelled; the server does not end a watch before the bench is over."""
        query = {"watch": "true", "timeoutSeconds": "3000"}
        async with self.client.get(_DATAAPPS.format(self.namespace), params=query) as answer:
            answer.raise_for_status()
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                async with self.news:
                    for line in filter(None, lines):
                        self._learn(json.loads(line))
                    self.news.notify_all()

    def _learn(self, event: Json) -> None:
        app, now = event["object"], time.monotonic()
        name = app["metadata"]["name"]
        if name in self.apps:
            self.events.append((now, name))
        self.apps[name] = app
        commit = app["metadata"].get("annotations", {}).get("dataapps.dev/commit", "")
        self.commits.setdefault((name, commit), now)

    async def until(self, holds: Callable[[], object], *, what: str, timeout: float) -> None:  # noqa: ASYNC109 - words
        """Wait until something is so, looked at with every event."""
        try:
            async with asyncio.timeout(timeout), self.news:
                await self.news.wait_for(holds)
        except TimeoutError:
            raise AssertionError(f"after {timeout:g} s still not: {what}") from None

    async def settled(self, still: float = 1.0) -> None:
        """Wait until nothing has changed for a second."""
        seen = -1
        while seen != len(self.events):
            seen = len(self.events)
            await asyncio.sleep(still)


@asynccontextmanager
async def watching(kube: Kube, namespace: str) -> Any:
    """A watch of the namespace's DataApps inside the block."""
    async with read_access(kube.kubeconfig).client() as client:
        watched = Watched(client, namespace)
        task = asyncio.create_task(watched.follow())
        try:
            yield watched
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def repository() -> dict[str, str | bytes | None]:
    """100 directories, each with a manifest and a file."""
    files: dict[str, str | bytes | None] = {}
    for number in range(APPS):
        name = f"app-{number:03}"
        spec: Json = {"environments": _NOWHERE}
        if number >= OF_CODE:
            spec |= {"image": _IMAGE, "app": {"framework": "streamlit"}}
        kind = {"apiVersion": "dataapps.dev/v1alpha1", "kind": "DataApp", "metadata": {"name": name}, "spec": spec}
        files |= {f"apps/{name}/dataapp.yaml": json.dumps(kind, indent=1), f"apps/{name}/notes.txt": f"of {name}\n"}
    return files


def is_told(app: Json) -> bool:
    """The operator has said what is wrong with it."""
    return condition(app, "Stalled").get("status") == "True"


async def one_commit(place: Committed, watched: Watched, meter: Meter, number: int) -> tuple[float, Costs, str]:
    """Change one app's code, ask for a look, wait for the end; (seconds to the new commit, costs, app)."""
    name = f"app-{number % OF_CODE:03}"
    commit = place.repo.commit({f"apps/{name}/notes.txt": f"changed {number}\n"}, f"Change {name}")
    place.repo.push()
    so_far = meter.start()
    request = datetime.now(UTC).isoformat()
    patch = {"metadata": {"annotations": {"reconcile.dataapps.dev/requestedAt": request}}}
    kind = {"Content-Type": "application/merge-patch+json"}
    url = f"{_APPSOURCES.format(place.namespace)}/{SOURCE}"
    asked = time.monotonic()
    async with watched.client.patch(url, data=json.dumps(patch), headers=kind) as answer:
        answer.raise_for_status()
    await watched.until(lambda: (name, commit) in watched.commits, what=f"{name} is at {commit[:7]}", timeout=60)
    await watched.until(
        lambda: condition(watched.apps[name], "Built").get("status") == "False", what="its code was read", timeout=60
    )
    place.wait_source(
        lambda source: (source.get("status") or {}).get("lastHandledReconcileAt") == request, what="the look is over"
    )
    await watched.settled()  # what is written after that belongs to this commit too
    return watched.commits[name, commit] - asked, so_far(), name


async def with_a_source(kube: Kube, audit: AuditLog) -> tuple[list[Target], Json]:
    """100 manifests and one AppSource."""
    with Committed.make(kube, team="bench", interval="1m") as place:
        meter = Meter(place.repo, audit, place.namespace)
        async with watching(kube, place.namespace) as watched:
            began = time.monotonic()
            place.push(repository(), "100 apps")
            all_told = lambda: len(watched.apps) == APPS and all(map(is_told, watched.apps.values()))  # noqa: E731
            await watched.until(all_told, what=f"{APPS} apps are told about", timeout=180)
            settled = time.monotonic() - began
            print(f"{APPS} apps are in the cluster and told about after {settled:.1f} s", flush=True)
            await meter.quiet()
            so_far = meter.start()
            await asyncio.sleep(IDLE)
            idle = so_far()
            print(f"an idle minute: {idle.words()}", flush=True)

            before = {name: app["metadata"]["resourceVersion"] for name, app in watched.apps.items()}
            watched.events.clear()
            measured = []
            for number in range(COMMITS):
                seen = len(watched.events)
                seconds, costs, name = await one_commit(place, watched, meter, number)
                changed = {app for _, app in watched.events[seen:]}
                measured.append((seconds, costs, changed, name))
                print(
                    f"  {name} after {seconds:.2f} s: {costs.words()}; changed: {', '.join(sorted(changed))}",
                    flush=True,
                )
            touched = {name for *_, name in measured}
            after = {name: app["metadata"]["resourceVersion"] for name, app in watched.apps.items()}
        return _judge(
            idle, measured, [name for name in after if name not in touched and after[name] != before[name]], settled
        )


def _judge(
    idle: Costs, measured: list[tuple[float, Costs, set[str], str]], others: list[str], settled: float
) -> tuple[list[Target], Json]:
    times = [seconds for seconds, *_ in measured]
    writes = [len(costs.writes) for _, costs, *_ in measured]
    strangers = sum(len(changed - {name}) for *_, changed, name in measured) + len(others)
    all_writes: Counter[tuple[str, str]] = sum((by_kind(costs.writes) for _, costs, *_ in measured), Counter())
    targets = [
        Target.at_most("idle minute, 1 AppSource: look-ups", 2, idle.lookups, "look-ups"),
        Target.exactly("idle minute, 1 AppSource: fetches", 0, idle.fetches, "fetches"),
        Target.exactly("idle minute, 1 AppSource: writes", 0, len(idle.writes), "writes"),
        Target.exactly("commit of one app: apps changed, at most", 1, max(len(c) for *_, c, _ in measured), "apps"),
        Target.exactly("commit of one app: other apps changed", 0, strangers, "apps"),
        Target.at_most("commit of one app: look-ups, at most", 2, max(c.lookups for _, c, *_ in measured), "look-ups"),
        Target.exactly("commit of one app: fetches, at most", 1, max(c.fetches for _, c, *_ in measured), "fetches"),
        Target.at_most("commit of one app: writes, at most", 6, max(writes), "writes"),
        Target.at_most("requestedAt -> new commit on the app, p50", 1, round(percentile(times, 0.5), 2), "s"),
        Target.at_most("requestedAt -> new commit on the app, p99", 1, round(percentile(times, 0.99), 2), "s"),
    ]
    details = {
        "commits": COMMITS,
        "seconds": [round(one, 3) for one in times],
        "writesPerCommit": statistics.mean(writes),
        "writes": {f"{verb} {kind}": number for (verb, kind), number in all_writes.most_common()},
        "lookupsPerCommit": statistics.mean(costs.lookups for _, costs, *_ in measured),
        "secondsUntilSettled": round(settled, 1),
    }
    return targets, details


async def by_hand(kube: Kube, audit: AuditLog) -> tuple[list[Target], Json]:
    """100 DataApps that name one repository, each with an interval of its own."""
    with Committed.make(kube, team="bench", source={"suspend": True}) as place:  # only the Secret is of use here
        place.push(repository(), "100 apps", look=False)
        meter = Meter(place.repo, audit, place.namespace)
        async with watching(kube, place.namespace) as watched:
            kube.apply({"apiVersion": "v1", "kind": "List", "items": [_applied(place, n) for n in range(APPS)]})
            all_told = lambda: len(watched.apps) == APPS and all(map(is_told, watched.apps.values()))  # noqa: E731
            await watched.until(all_told, what=f"{APPS} apps are told about", timeout=180)
            await meter.quiet()
            so_far = meter.start()
            await asyncio.sleep(2 * INTERVAL)
            costs = so_far()
        print(f"{APPS} apps by hand, two intervals: {costs.words()}", flush=True)
    targets = [
        Target.at_most(f"{APPS} apps by hand: look-ups per interval", 2, costs.lookups / 2, "look-ups"),
        Target.exactly(f"{APPS} apps by hand: fetches", 0, costs.fetches, "fetches"),
        Target.exactly(f"{APPS} apps by hand: writes", 0, len(costs.writes), "writes"),
    ]
    return targets, {"interval": INTERVAL, "lookups": costs.lookups}


def _applied(place: Committed, number: int) -> Json:
    name = f"app-{number:03}"
    source = {
        "url": place.repo.url,
        "path": f"apps/{name}",
        "interval": f"{INTERVAL:.0f}s",
        "secretRef": {"name": "git"},
    }
    spec = {"source": source, "environments": _NOWHERE}
    metadata = {"name": name, "namespace": place.namespace}
    return {"apiVersion": "dataapps.dev/v1alpha1", "kind": "DataApp", "metadata": metadata, "spec": spec}


async def run() -> int:
    """Both parts, and the report."""
    kubeconfig = OUT / "kubeconfig"
    if not kubeconfig.exists():
        print("there is no lab: `make lab-up` raises one", file=sys.stderr)
        return 2
    kube = Kube(str(Lab.here().binary("kubectl")), Path(kubeconfig))
    audit = operator_audit()
    targets, source = await with_a_source(kube, audit)
    more, hand = await by_hand(kube, audit)
    return finish("git", [*targets, *more], {"source": source, "byHand": hand})


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
