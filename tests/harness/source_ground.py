"""A namespace in which everything is wrong with repositories, around two apps that run and are visited all the time."""

import asyncio
import base64
import json
import re
import secrets
import shlex
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.harness.audit import AuditLog
from tests.harness.cluster import Json, Kube, condition, environment
from tests.harness.commits import Committed
from tests.harness.gitrepo import Repo
from tests.harness.prober import Prober, Report
from tests.harness.source_cases import KIND, TRANSIENT

TEAM = "source-troubles"


@dataclass(frozen=True)
class Ground:
    """The namespace with its live source, and what else was made for it."""

    work: Committed
    audit: AuditLog
    begun: int
    """Where the audit log was when all this began."""
    others: dict[str, Repo] = field(default_factory=dict)
    wrong: str = field(default_factory=lambda: f"wrong-{secrets.token_urlsafe(24)}")
    """A password that no server takes: a secret all the same."""

    @property
    def kube(self) -> Kube:
        return self.work.kube

    @property
    def namespace(self) -> str:
        return self.work.namespace

    def repo(self, name: str) -> Repo:
        """Another repository of the same team."""
        if name not in self.others:
            self.others[name] = Repo(self.work.repo.server, TEAM, f"{self.namespace}-{name}")
        return self.others[name]

    def secret(self, name: str, **data: str | None) -> None:
        """The Secret of the repositories under another name, with other contents (None leaves a key out)."""
        made = self.work.repo.secret_manifest(self.namespace, name)
        for key, value in data.items():
            if value is None:
                del made["data"][key.replace("_", ".")]
            else:
                made["data"][key] = base64.b64encode(value.encode()).decode()
        self.kube.apply(made)

    def source(self, name: str, **spec: Any) -> None:
        """Another AppSource in the namespace, of the live repository or of another one (`url`)."""
        metadata = {"name": name, "namespace": self.namespace}
        self.kube.apply(KIND | {"kind": "AppSource", "metadata": metadata, "spec": self._where(spec)})

    def by_hand(self, name: str, **source: Any) -> None:
        """A DataApp that nobody but its author brought, with its code in the live repository or in another one."""
        written = json.loads(self.work.manifest(name, app={"framework": "fastapi"}))
        written["metadata"]["namespace"] = self.namespace
        written["spec"]["source"] = self._where(source)
        self.kube.apply(written)

    def _where(self, given: Json) -> Json:
        usual = {"url": "{here}.git", "secretRef": {"name": "git"}, "interval": "10m"}
        spec = usual | given
        return spec | {"url": spec["url"].format(here=self.work.repo.url.removesuffix(".git"))}

    def wait(self, source: str, holds: Callable[[Json], object], *, what: str, timeout: float = 90) -> Json:
        """Wait until an AppSource is so."""
        return self.kube.wait("appsource", source, self.namespace, holds, what=what, timeout=timeout)

    def said(self, source: str, *reasons: str, timeout: float = 90) -> str:
        """Wait until Ready of an AppSource has one of these reasons; its message."""
        found = self.wait(
            source,
            lambda one: condition(one, "Ready").get("reason") in reasons,
            what=f"Ready has reason {' or '.join(reasons)}",
            timeout=timeout,
        )
        ready = condition(found, "Ready")
        beside = condition(found, "Reconciling") or condition(found, "Stalled") or ready
        assert beside["message"] == ready["message"], "a source of two minds"
        print(f"\n  {source}: {ready['reason']}: {ready['message']}")
        message: str = ready["message"]
        return message

    def app_said(self, app: str, reason: str) -> str:
        """Wait until an app waits for a person with this reason (or tries again by itself); its message."""
        kind = "Reconciling" if reason in TRANSIENT else "Stalled"
        message: str = self.work.wait_condition(app, kind, "True", reason, timeout=90)["message"]
        print(f"\n  {app}: {reason}: {message}")
        return message

    def synced(self, source: str, commit: str, *, timeout: float = 90) -> Json:
        """Wait until a source has applied everything of a commit."""
        return self.wait(
            source, lambda one: revision(one).endswith(commit), what=f"{commit[:7]} is applied", timeout=timeout
        )

    def attempted(self, commit: str) -> Json:
        """Wait until the live source has read a commit and said what it makes of it."""
        return self.work.wait_source(
            lambda one: (one["status"].get("attemptedRevision") or "").endswith(commit), what=f"{commit[:7]} is read"
        )

    def look(self, source: str) -> str:
        """Ask a source to look now; returns the request."""
        request = datetime.now(UTC).isoformat()
        self.annotate(source, f"reconcile.dataapps.dev/requestedAt={request}")
        return request

    def annotate(self, source: str, annotation: str) -> None:
        """Annotate an AppSource."""
        self.kube.run("annotate", "appsource", source, "-n", self.namespace, "--overwrite", annotation)

    def patch(self, source: str, **spec: Any) -> None:
        """Change fields of an AppSource's spec."""
        self.kube.run(
            "patch", "appsource", source, "-n", self.namespace, "--type=merge", "-p", json.dumps({"spec": spec})
        )

    def run_as_printed(self, message: str) -> None:
        """Run the one kubectl command that a message has in it."""
        command = re.search(r": kubectl (.+)$", message)
        assert command, message
        self.kube.run(*shlex.split(command[1]))

    def apps(self, source: str) -> list[str]:
        """The apps that a source has brought and that nobody takes away."""
        found = self.kube.list("dataapps", self.namespace, f"dataapps.dev/source={source}")
        gone = ("dataapps.dev/leaving", "deletionTimestamp")
        kept = (one["metadata"] for one in found)
        return sorted(one["name"] for one in kept if not any(k in one or k in one.get("annotations", {}) for k in gone))


def revision(source: Json) -> str:
    """What a source has applied whole."""
    return (source.get("status") or {}).get("revision") or ""


@contextmanager
def visited(hosts: dict[str, str]) -> Iterator[dict[str, Report]]:
    """Visitors of these hosts, three a second each, while tests do their work in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def there(coroutine: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    probers = {name: Prober(host, rate=3.0, seconds=1500) for name, host in hosts.items()}
    try:
        for prober in probers.values():
            there(prober.__aenter__())
        yield {name: prober.report for name, prober in probers.items()}
    finally:
        for prober in probers.values():
            there(prober.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def undisturbed(
    ground: Ground, visits: dict[str, Report], *, release: int = 1, apps: tuple[str, ...] = ("prices", "notes")
) -> None:
    """Nobody who visits has noticed anything, and the apps say so too."""
    for name, report in visits.items():
        assert report.failed == 0, f"{name}: {report}"
        assert report.sent > 0
    for name in apps:
        app = ground.work.app(name)
        assert condition(app, "Ready")["status"] == "True", condition(app, "Ready")
        assert environment(app)["stable"] == release
