"""A team that works with git: a repository, a namespace with an AppSource that reads it, and what becomes of a commit.

The steps are those of docs/sources-and-builds.md: a Secret, a RoleBinding, an AppSource. `push` commits and asks for a
look at once, as a webhook would; everything else is the operator's.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from tests.harness.cluster import OUT, ROOT, Json, Kube, condition, environment, is_ready
from tests.harness.gitrepo import GitServer, Repo

SOURCE = "apps"
"""The name of the AppSource."""
_ROLE = "dataapp-operator-edit"
_SECRET = "git"


def example(name: str, *, version: str = "v1", without_manifest: bool = False) -> dict[str, bytes]:
    """The files of an example app, by their path in its directory; `version` is the word that it shows."""
    root = ROOT / "examples" / "code" / name
    files = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
    if without_manifest:
        files.pop("dataapp.yaml", None)
    return {path: text.replace(b'"v1"', f'"{version}"'.encode()) for path, text in files.items()}


def own_dockerfile(version: str = "v1") -> dict[str, bytes]:
    """The code of the example with a Dockerfile of its own, on the lab's image with R instead of one from the internet."""
    files = example("dockerfile-app", version=version, without_manifest=True)
    base = json.loads((OUT / "images.json").read_text())["bases"]["r"]
    text = files["Dockerfile"].replace(b"ARG BASE=debian:trixie-slim", f"ARG BASE={base}".encode())
    assert base.encode() in text, "the example's Dockerfile has changed"
    return {**files, "Dockerfile": text}


def below(directory: str, files: Mapping[str, str | bytes | None]) -> dict[str, str | bytes | None]:
    """The same files in a directory of the repository."""
    return {f"{directory}/{path}": content for path, content in files.items()}


@dataclass(frozen=True)
class Committed:
    """A namespace of a test's own whose apps come from a repository of its own."""

    kube: Kube
    namespace: str
    repo: Repo

    @classmethod
    @contextmanager
    def make(
        cls, kube: Kube, *, team: str = "e2e", interval: str = "10m", source: Json | None = None
    ) -> Iterator[Self]:
        """Repository, namespace, Secret, RoleBinding and AppSource; all of it goes at the end.

        The interval is long, so that what happens is what was asked for; `source` adds to the AppSource's spec.
        """
        name = f"t-{secrets.token_hex(3)}"
        repo = Repo(GitServer.of_lab(), team, name)
        kube.run("create", "namespace", name)
        made = cls(kube, name, repo)
        try:
            made.set_up(interval, source or {})
            yield made
        finally:
            kube.run("delete", "namespace", name, "--wait=false")
            repo.delete()
            repo.close()

    def set_up(self, interval: str, more: Json) -> None:
        """What a team does once."""
        self.kube.apply(self.repo.secret_manifest(self.namespace, _SECRET))
        account = f"--serviceaccount={self.namespace}:default"
        self.kube.run("create", "rolebinding", "apps", "-n", self.namespace, f"--clusterrole={_ROLE}", account)
        spec = {"url": self.repo.url, "secretRef": {"name": _SECRET}, "interval": interval, **more}
        metadata = {"name": SOURCE, "namespace": self.namespace}
        kind = {"apiVersion": "dataapps.dev/v1alpha1", "kind": "AppSource"}
        self.kube.apply({**kind, "metadata": metadata, "spec": spec})

    def host(self, app: str) -> str:
        """A host that no other test has."""
        return f"{app}--{self.namespace}.localhost"

    def manifest(self, name: str, /, *, bake: str = "3s", **spec: Any) -> str:
        """A dataapp.yaml with one environment and short times. JSON is YAML."""
        release = {"bake": bake, "drain": {"max": "10m", "emptyFor": "5s"}, "keepWarm": {"releases": 0}}
        sandbox = {"name": "sandbox", "host": self.host(name), "release": release}
        kind = {"apiVersion": "dataapps.dev/v1alpha1", "kind": "DataApp", "metadata": {"name": name}}
        return json.dumps({**kind, "spec": {"environments": [sandbox], **spec}}, indent=1) + "\n"

    def push(self, files: Mapping[str, str | bytes | None], message: str = "A change", *, look: bool = True) -> str:
        """Commit and push these files (None deletes one), and have them looked at now; returns the commit."""
        commit = self.repo.commit(files, message)
        self.repo.push()
        if look:
            self.look_now()
        return commit

    def look_now(self) -> str:
        """Ask the AppSource to look at once; returns the request."""
        request = datetime.now(UTC).isoformat()
        words = ["annotate", "appsource", SOURCE, "-n", self.namespace, "--overwrite"]
        self.kube.run(*words, f"reconcile.dataapps.dev/requestedAt={request}")
        return request

    def ask(self, app: str) -> str:
        """Ask a DataApp to look at its code, or the tags of its repository, at once; returns the request."""
        request = datetime.now(UTC).isoformat()
        words = ["annotate", "dataapp", app, "-n", self.namespace, "--overwrite"]
        self.kube.run(*words, f"reconcile.dataapps.dev/requestedAt={request}")
        return request

    def source(self) -> Json:
        """The AppSource as it is now."""
        found = self.kube.get("appsource", SOURCE, self.namespace)
        assert found is not None, "there is no AppSource"
        return found

    def app(self, name: str) -> Json:
        """The DataApp as it is now."""
        found = self.kube.get("dataapp", name, self.namespace)
        assert found is not None, f"there is no DataApp {name}"
        return found

    def builds(self, app: str = "") -> list[Json]:
        """The AppBuilds of an app, or of all, the oldest first."""
        found = self.kube.list("appbuilds", self.namespace, f"dataapps.dev/app={app}" if app else "")
        return sorted(found, key=lambda build: (build["metadata"]["creationTimestamp"], build["metadata"]["name"]))

    def wait_source(self, holds: Callable[[Json], object], *, what: str, timeout: float = 60) -> Json:
        """Wait until the AppSource is so."""
        return self.kube.wait("appsource", SOURCE, self.namespace, holds, what=what, timeout=timeout)

    def wait_app(self, app: str, holds: Callable[[Json], object], *, what: str, timeout: float = 120) -> Json:
        """Wait until a DataApp is so."""
        return self.kube.wait("dataapp", app, self.namespace, holds, what=what, timeout=timeout)

    def wait_released(self, app: str, number: int, *, env: str = "sandbox", timeout: float = 180) -> Json:
        """Wait until a release is stable in an environment and nothing is on its way there."""

        def released(found: Json) -> bool:
            memory = environment(found, env)
            return is_ready(found) and memory.get("stable") == number and "candidate" not in memory

        return self.wait_app(app, released, what=f"{env} r{number} is stable", timeout=timeout)

    def wait_retired(self, app: str, number: int, *, env: str = "sandbox") -> Json:
        """Wait until the pods of a former release are gone."""
        name = f"{app}-{env}-{number}"
        return self.kube.wait(
            "apprelease",
            name,
            self.namespace,
            lambda found: (found.get("status") or {}).get("phase") == "Retired",
            what=f"{name} is retired",
        )

    def wait_condition(self, app: str, kind: str, status: str, *reasons: str, timeout: float = 120) -> Json:
        """Wait until a condition of an app has this status (and one of these reasons); returns the condition."""

        def so(found: Json) -> bool:
            one = condition(found, kind)
            return one.get("status") == status and (not reasons or one.get("reason") in reasons)

        what = f"{kind} is {status} {' or '.join(reasons)}"
        return condition(self.wait_app(app, so, what=what, timeout=timeout), kind)

    def wait_build(self, app: str, commit: str, *phases: str, timeout: float = 180) -> Json:
        """Wait until the DataApp has read this commit and its build is in one of these phases; returns the AppBuild."""
        found = self.wait_app(
            app,
            lambda one: ((one.get("status") or {}).get("code") or {}).get("commit") == commit,
            what=f"the code of {commit[:7]} is read",
            timeout=60,
        )
        name = found["status"]["code"]["build"]
        return self.kube.wait(
            "appbuild",
            name,
            self.namespace,
            lambda build: (build.get("status") or {}).get("phase") in (phases or ("Succeeded", "Failed")),
            what=f"the build is {' or '.join(phases or ('Succeeded', 'Failed'))}",
            timeout=timeout,
        )
