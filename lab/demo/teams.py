"""The two teams of the demo: each has a repository, and the few objects with which a platform lets it in."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.demo.stage import NAMESPACE, Stage
from tests.harness.browser import Browser
from tests.harness.cluster import ROOT
from tests.harness.gitrepo import GitServer, Repo
from tests.harness.live_shiny import LiveShiny
from tests.harness.live_streamlit import LiveStreamlit
from tests.harness.sessions import LiveSession

EXAMPLES = ROOT / "examples" / "code"
SHORT = """apiVersion: dataapps.dev/v1alpha1
kind: DataApp
metadata: {{name: {app}}}
spec:
  environments:
  - {{name: sandbox, release: {{bake: 10s, drain: {{max: 30m, emptyFor: 10s}}}}}}
  - {{name: production, release: {{bake: 10s, drain: {{max: 30m, emptyFor: 10s}}}}}}
"""
"""The same app with short times, so that the story need not wait for the two minutes of a usual bake."""


@dataclass(frozen=True)
class Team:
    """One team, its app, the file that is its code, and how a visitor opens it."""

    name: str
    app: str
    example: str
    code: str
    broken: str
    live: Callable[[Browser], LiveSession]
    repo: Repo

    @property
    def host(self) -> str:
        """Where visitors of the sandbox find the app."""
        return f"{self.app}--sandbox.localhost"

    def preview(self, number: int) -> str:
        """Where one release can be seen before anybody else sees it."""
        return f"{self.app}--r{number}--sandbox.localhost"

    def source(self) -> str:
        """The name of its AppSource."""
        return f"{self.name}-apps"

    def files(self) -> dict[str, bytes]:
        """The app as the team commits it first."""
        home = EXAMPLES / self.example
        return {f"{self.app}/{p.relative_to(home)}": p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}

    def version(self, one: str, other: str) -> Mapping[str, bytes]:
        """One line of the code changed."""
        path = f"{self.app}/{self.code}"
        text = (Path(self.repo.work) / path).read_bytes()
        return {path: text.replace(f'"{one}"'.encode(), f'"{other}"'.encode())}

    def push(self, files: Mapping[str, str | bytes | None], message: str) -> str:
        """Commit and push. Returns the commit."""
        commit = self.repo.commit(dict(files), message)
        self.repo.push()
        return commit


def teams(server: GitServer) -> tuple[Team, ...]:
    """A Python team and an R team, with repositories that nobody has pushed to yet."""
    for name in ("antarctica", "fisheries"):
        server.place.remove(name, "apps")
    return (
        Team(
            "antarctica", "penguins", "streamlit-penguins", "app.py", "streamlit-broken-import", LiveStreamlit,
            Repo(server, "antarctica", "apps"),
        ),
        Team(
            "fisheries", "salmon", "shiny-r-salmon", "app.R", "shiny-broken-session", LiveShiny,
            Repo(server, "fisheries", "apps"),
        ),
    )  # fmt: skip


def let_in(stage: Stage, team: Team, *, interval: str) -> None:
    """What the platform and the team set up once: the credential, the right to write apps, the source."""
    stage.kube.apply(team.repo.secret_manifest(NAMESPACE, f"{team.name}-git"))
    stage.kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "apps-from-git", "namespace": NAMESPACE},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "dataapp-operator-edit",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}],
        }
    )
    stage.kube.apply(
        {
            "apiVersion": "dataapps.dev/v1alpha1",
            "kind": "AppSource",
            "metadata": {"name": team.source(), "namespace": NAMESPACE},
            "spec": {
                "url": team.repo.url,
                "paths": ["*/dataapp.yaml"],
                "interval": interval,
                "secretRef": {"name": f"{team.name}-git"},
            },
        }
    )


def look_now(stage: Stage, team: Team) -> None:
    """What a webhook, or an impatient person, does."""
    stage.kube.run(
        "annotate", "appsource", team.source(), "-n", NAMESPACE, "--overwrite",
        f"reconcile.dataapps.dev/requestedAt={time.time():.3f}",
    )  # fmt: skip
