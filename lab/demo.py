"""`make demo`: the main job, shown on the real cluster. Every sentence quotes what it read; a surprise ends it with exit 1.

A Streamlit app and a Shiny for R app are applied, deployed, checked by a real session and released. A second image takes
over while a visitor has the old one open. A third image answers 200 on every HTTP path and cannot run: it is never
released, and the record says why in the app's own words.
"""

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from lab.context import Lab
from tests.harness.browser import Browser
from tests.harness.cluster import GATEWAY, OUT, Kube, Team, condition, environment
from tests.harness.live_shiny import LiveShiny
from tests.harness.live_streamlit import LiveStreamlit
from tests.harness.sessions import LiveSession

NAMESPACE = "demo"
APPS: dict[str, tuple[str, Callable[[Browser], LiveSession]]] = {
    "penguins": ("streamlit", LiveStreamlit),
    "salmon": ("shiny", LiveShiny),
}
BROKEN = {"penguins": "streamlit-broken-import", "salmon": "shiny-broken-session"}


class SurpriseError(Exception):
    """Something is not as the demo expects it."""


class Demo:
    """The story, told once for both apps."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        """One sentence, with the time since the beginning."""
        print(f"[{time.monotonic() - self.began:5.0f} s] {text}", flush=True)

    def expect(self, holds: object, text: str) -> None:
        """A sentence that must be true."""
        if not holds:
            raise SurpriseError(f"this was expected and is not so: {text}")
        self.say(f"✔ {text}")

    def show(self, *args: str) -> None:
        """A command as a person types it, and what it prints."""
        print(f"\n  $ kubectl -n {NAMESPACE} {' '.join(args)}")
        print("".join(f"  {line}\n" for line in self.team.kube.run("-n", NAMESPACE, *args).splitlines()), flush=True)

    def prepare(self) -> None:
        """A clean beginning: what an earlier demo left is removed."""
        kube = self.team.kube
        if kube.get("namespace", NAMESPACE) is None:
            kube.run("create", "namespace", NAMESPACE)
        kube.run("-n", NAMESPACE, "delete", "dataapps", "--all", "--cascade=foreground", "--timeout=180s")
        nodes = kube.run("get", "nodes", "--no-headers").split()
        self.expect(nodes[1] == "Ready", f"the cluster has a node {nodes[0]!r}, {nodes[1]}, Kubernetes {nodes[4]}")
        operator = kube.get("deployment", "dataapp-operator", "dataapp-system") or {}
        replicas = (operator.get("status") or {}).get("readyReplicas", 0)
        self.expect(replicas == 1, f"the operator runs as a pod from its chart: readyReplicas {replicas}")

    def first(self) -> None:
        """Apply both apps and wait for their first release."""
        for name, (prefix, _) in APPS.items():
            self._apply(name, f"{prefix}-v1")
        for name in APPS:
            app = self.team.wait_released(name, 1, timeout=300)
            self.expect(True, f"{name}: condition Ready is True: {condition(app, 'Ready')['message']!r}")
            check = self.team.record(name, 1)["status"]["checks"][0]
            self.expect(
                check["verdict"] == "pass",
                f"{name}: a real session was opened {check['samples']} times before anybody else: {check['measured']!r}",
            )

    def _apply(self, name: str, image: str) -> None:
        self.team.release(name, image, bake="10s", drain_max="30m", empty_for="10s")
        self.say(f"kubectl apply: DataApp {name}, image {image} (…{self.team.images[image][-8:]})")

    async def switch(self) -> None:
        """A second image takes over while visitors are there."""
        async with self._tabs() as tabs:
            for name, tab in tabs.items():
                answer = await tab.open()
                pin = tab.visits[-1].page.pin
                self.expect(answer.version == "v1", f"{name}: a visitor has it open: {answer}, pinned to {pin}")
            for name, (prefix, _) in APPS.items():
                self._apply(name, f"{prefix}-v2")
            for name, tab in tabs.items():
                await asyncio.to_thread(self.team.wait_phase, name, 2, "Baking", "Released")
                self.say(f"{name}: AppRelease {name}-sandbox-2 is {self.team.record(name, 2)['status']['phase']}")
                async with Browser(self.team.host(name)) as stranger:
                    page = await stranger.load_page()
                self.expect(page.release == 2, f"{name}: a new visitor gets release {page.release}")
                answer, asset = await tab.set_input(14), await tab.fetch_asset()
                self.expect(
                    answer.version == "v1" and answer.total == 42,
                    f"{name}: the open session still computes with {answer.version}: 3 × 14 = {answer.total},"
                    f" its asset: {asset!r}",
                )
            for name, tab in tabs.items():
                answer = await tab.reload()
                release = tab.visits[-1].page.release
                self.expect(
                    answer.version == "v2",
                    f"{name}: after a reload the same visitor has {answer.version} (release {release})",
                )
                self.expect(not tab.failures, f"{name}: failures the visitor saw: {len(tab.failures)}")
        for name in APPS:
            self.team.wait_released(name, 2)
            self.expect(True, f"{name}: released: {self.team.app(name)['status']['summary']['released']!r}")

    @asynccontextmanager
    async def _tabs(self) -> AsyncIterator[dict[str, LiveSession]]:
        tabs = {name: make(Browser(self.team.host(name))) for name, (_, make) in APPS.items()}
        try:
            yield tabs
        finally:
            for tab in tabs.values():
                await tab.close()
                await tab.browser.close()

    def broken(self) -> None:
        """A third image answers 200 everywhere and cannot run."""
        for name in APPS:
            with urllib.request.urlopen(self.team.run_bare(BROKEN[name]), timeout=20) as answer:
                self.expect(
                    answer.status == 200,
                    f"{name}: an HTTP check of {BROKEN[name]} says {answer.status} {answer.reason}",
                )
            self.team.kube.run("-n", NAMESPACE, "delete", "pod", BROKEN[name], "--wait=false")
            self._apply(name, BROKEN[name])
        for name in APPS:
            self.team.wait_phase(name, 3, "Deploying", "Checking", "Failed")
        for name in APPS:
            status = self.team.wait_phase(name, 3, "Failed")["status"]
            self.expect(
                status["reason"] == "SessionFailed",
                f"{name}: r3 is {status['phase']}, never released: {status['message']!r}",
            )
            app = self.team.app(name)
            self.expect(
                environment(app)["stable"] == 2 and condition(app, "Ready")["status"] == "True",
                f"{name}: Ready stays True: {condition(app, 'Ready')['message']!r}",
            )
            seen = self._release_of_a_new_visit(name)
            self.expect(seen == "2", f"{name}: a new visitor still gets release {seen}")

    def _release_of_a_new_visit(self, name: str) -> str | None:
        request = urllib.request.Request(f"http://{GATEWAY}/", headers={"Host": self.team.host(name)})
        with urllib.request.urlopen(request, timeout=10) as answer:
            release: str | None = answer.headers["X-DataApp-Release"]
            return release

    def show_all(self) -> None:
        """What a person looks at afterwards."""
        self.show("get", "dataapps")
        self.show("get", "appreleases")
        self.show("describe", "apprelease", "salmon-sandbox-3")


def main() -> int:
    """Tell the story. Returns the exit code."""
    lab = Lab.here()
    images = json.loads((OUT / "images.json").read_text())["apps"]
    team = Team(Kube(str(lab.binary("kubectl")), Path(OUT / "kubeconfig")), NAMESPACE, images)
    demo = Demo(team)
    try:
        demo.prepare()
        demo.first()
        asyncio.run(demo.switch())
        demo.broken()
        demo.show_all()
    except (SurpriseError, AssertionError) as error:
        demo.say(f"✘ {error}")
        print("The demo stopped here. `make lab-status` says where the logs are.")
        return 1
    demo.say("that was all of it. The cluster stays up:")
    demo.say("open http://penguins--demo.localhost:8088/ in a browser of this machine")
    demo.say("`make lab-down` removes all of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
