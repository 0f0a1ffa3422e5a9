"""The two teams of the demo: each has a repository and an app, and five versions of its code."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.demo.stage import NAMESPACE, Stage
from tests.harness.cluster import ROOT
from tests.harness.gitrepo import GitServer, Repo
from tests.harness.live_shiny import LiveShiny
from tests.harness.live_streamlit import LiveStreamlit
from tests.harness.sessions import LiveSession

EXAMPLES = ROOT / "examples" / "code"
_MANIFEST = """apiVersion: dataapps.dev/v1alpha1
kind: DataApp
metadata: {{name: {app}}}
spec:
  environments:
  - name: sandbox
    release:
      bake: {bake}{more}
      drain: {{max: 30m, emptyFor: 10s}}
      keepWarm: {{releases: 1, for: 30m}}
  - {{name: production, release: {{bake: 10s, drain: {{max: 30m, emptyFor: 10s}}}}}}
"""
CANARY = """
strategy: canary
canary:
  steps:
  - {weight: 25, hold: 15s}
  - {weight: 50, pause: true}"""
"""How the fifth version comes: a quarter of the new visitors for ten seconds, then half of them until a person resumes it."""


def manifest(app: str, *, bake: str = "10s", more: str = "") -> str:
    """The same app with short times, so that the story need not wait for the two minutes of a usual bake.

    ``more`` is what its sandbox says beside them about a release: lines of YAML, each after a line's end.
    """
    return _MANIFEST.format(app=app, bake=bake, more=more.replace("\n", "\n      "))


@dataclass(frozen=True)
class Team:
    """One team, its app, the file that is its code, and how a visitor opens it."""

    name: str
    app: str
    example: str
    code: str
    broken: str
    """The example with the break that HTTP does not see."""
    without_prices: str
    """What its fourth version says when the price service does not answer."""
    live: type[LiveSession]
    repo: Repo

    @property
    def host(self) -> str:
        """Where visitors of the sandbox find the app."""
        return f"{self.app}--sandbox.localhost"

    def preview(self, number: int) -> str:
        """Where one release can be seen before anybody else sees it."""
        return f"{self.app}--r{number}--sandbox--{NAMESPACE}.localhost"

    @property
    def source(self) -> str:
        """The name of its AppSource."""
        return f"{self.name}-apps"

    def first(self) -> dict[str, bytes]:
        """The app as the team commits it first."""
        home = EXAMPLES / self.example
        return {f"{self.app}/{p.relative_to(home)}": p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}

    def second(self) -> dict[str, bytes]:
        """One line of the code changed."""
        path = f"{self.app}/{self.code}"
        text = (Path(self.repo.work) / path).read_bytes()
        return {path: text.replace(b'"v1"', b'"v2"')}

    def third(self) -> dict[str, bytes]:
        """A slip of the hand."""
        return {f"{self.app}/{self.code}": (ROOT / "examples" / "apps" / self.broken / self.code).read_bytes()}

    def fourth(self) -> dict[str, str | bytes]:
        """It asks a price service, and bakes for as long as releases usually do."""
        first = self.first()
        mended = {path: text for path, text in first.items() if path.endswith("requirements.txt")}
        code = (EXAMPLES / "priced" / self.code).read_bytes()
        return {
            **mended,
            f"{self.app}/{self.code}": code,
            f"{self.app}/dataapp.yaml": manifest(self.app, bake="2m"),
        }

    def fifth(self) -> dict[str, str | bytes]:
        """It asks for no price any more, and new visitors are to come in steps."""
        path = f"{self.app}/{self.code}"
        return {
            path: self.first()[path].replace(b'"v1"', b'"v5"'),
            f"{self.app}/dataapp.yaml": manifest(self.app, bake="5s", more=CANARY),
        }

    def push(self, files: Mapping[str, str | bytes | None], message: str) -> str:
        """Commit and push. Returns the commit."""
        commit = self.repo.commit(files, message)
        self.repo.push()
        return commit

    def look_now(self, stage: Stage) -> None:
        """What a webhook, or an impatient person, does."""
        stage.kube.run(
            "annotate", "appsource", self.source, "-n", NAMESPACE, "--overwrite",
            f"reconcile.dataapps.dev/requestedAt={time.time():.3f}",
        )  # fmt: skip


def teams(server: GitServer) -> tuple[Team, ...]:
    """A Python team and an R team, with repositories that nobody has pushed to yet."""
    for name in ("antarctica", "fisheries"):
        server.place.remove(name, "apps")
    python = Team(
        name="antarctica",
        app="penguins",
        example="streamlit-penguins",
        code="app.py",
        broken="streamlit-broken-import",
        without_prices="urlopen error",
        live=LiveStreamlit,
        repo=Repo(server, "antarctica", "apps"),
    )
    r = Team(
        name="fisheries",
        app="salmon",
        example="shiny-r-salmon",
        code="app.R",
        broken="shiny-broken-session",
        without_prices="cannot open the connection",
        live=LiveShiny,
        repo=Repo(server, "fisheries", "apps"),
    )
    return python, r
