"""What every scene of the demo needs: a clock, sentences that must be true, and commands as a person types them."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable

from tests.harness.cluster import GATEWAY, Json, Kube, condition, environment

NAMESPACE = "demo"


class SurpriseError(Exception):
    """Something is not as the demo expects it."""


class Stage:
    """One telling of the story. Every sentence quotes what it read; a surprise ends it."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.began = time.monotonic()
        self._figures: dict[str, dict[str, float]] = {}

    def say(self, text: str) -> None:
        """One sentence, with the time since the beginning."""
        print(f"[{time.monotonic() - self.began:5.0f} s] {text}", flush=True)

    def title(self, text: str) -> None:
        """The beginning of a scene."""
        print(f"\n== {text} ==", flush=True)

    def expect(self, holds: object, text: str) -> None:
        """A sentence that must be true."""
        if not holds:
            raise SurpriseError(f"this was expected and is not so: {text}")
        self.say(f"✔ {text}")

    def show(self, *args: str, only: Callable[[str], object] = lambda _line: True) -> None:
        """A command as a person types it, and what it prints (or the lines of it that matter here)."""
        print(f"\n  $ kubectl -n {NAMESPACE} {' '.join(args)}")
        lines = self.kube.run("-n", NAMESPACE, *args).splitlines()
        print("".join(f"  {line}\n" for line in lines if only(line)), flush=True)

    def figure(self, what: str, app: str, seconds: float) -> None:
        """Note a measured time for the table at the end."""
        self._figures.setdefault(what, {})[app] = seconds

    def show_figures(self) -> None:
        """The measured times, a column for each app."""
        apps = sorted({app for row in self._figures.values() for app in row})
        width = max(map(len, self._figures))
        print(f"  {'':{width}}" + "".join(f"{app:>12}" for app in apps))
        for what, row in self._figures.items():
            print(f"  {what:{width}}" + "".join(f"{f'{row[app]:.1f} s' if app in row else '':>12}" for app in apps))
        print(flush=True)

    def get(self, kind: str, name: str) -> Json:
        """An object, {} when it is not there."""
        return self.kube.get(kind, name, NAMESPACE) or {}

    def wait(self, kind: str, name: str, holds: Callable[[Json], object], *, what: str, timeout: float = 300) -> Json:
        """An object, once something is so; a surprise when it does not come."""
        try:
            return self.kube.wait(kind, name, NAMESPACE, holds, what=what, timeout=timeout)
        except AssertionError as error:
            raise SurpriseError(str(error)) from None

    def record(self, app: str, number: int, *phases: str, env: str = "sandbox") -> Json:
        """An AppRelease, once it is in one of these phases."""
        return self.wait(
            "apprelease",
            f"{app}-{env}-{number}",
            lambda found: not phases or (found.get("status") or {}).get("phase") in phases,
            what=f"r{number} is {' or '.join(phases)}",
        )

    def synced(self, app: str, commit: str) -> Json:
        """The app, once it is what stands in the repository at a commit, and the operator has looked at it."""

        def has_it(manifest: Json) -> bool:
            metadata = manifest["metadata"]
            looked = manifest.get("status", {}).get("observedGeneration") == metadata["generation"]
            return bool(looked and metadata.get("annotations", {}).get("dataapps.dev/commit") == commit)

        return self.wait("dataapp", app, has_it, what=f"it has {commit[:7]}")

    def released(self, app: str, number: int, env: str = "sandbox", *, timeout: float = 300) -> Json:
        """The app, once release ``number`` serves visitors of an environment."""

        def serves(manifest: Json) -> bool:
            stalled = condition(manifest, "Stalled")
            if stalled and stalled["reason"] != "NoRoom":  # room comes when an old version has gone
                raise SurpriseError(f"{app} is stalled: {stalled['reason']}: {stalled['message']}")
            weights = environment(manifest, env).get("weights") or []
            return any(weight["release"] == number for weight in weights)

        return self.wait("dataapp", app, serves, what=f"r{number} serves {env}", timeout=timeout)

    def settled(self, app: str, number: int, env: str = "sandbox") -> None:
        """Wait until a release has ended its bake."""
        self.wait(
            "dataapp",
            app,
            lambda found: environment(found, env).get("stable") == number,
            what=f"r{number} is stable in {env}",
        )

    def ready(self, app: str) -> str:
        """What the condition Ready says, up to what the next environment waits for."""
        found = condition(self.get("dataapp", app), "Ready")
        return f"{found.get('status')}: {found.get('message', '').partition('; ')[0]}"


def release_at(host: str, *, timeout: float = 5) -> str | None:
    """Which release answers a new visitor of a host with 200; None while none does."""
    request = urllib.request.Request(f"http://{GATEWAY}/", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            release: str | None = answer.headers["X-DataApp-Release"] if answer.status == 200 else None
            return release
    except (urllib.error.URLError, OSError):
        return None


def until(holds: Callable[[], object], *, timeout: float, what: str) -> float:
    """Seconds until something is so; a surprise when it does not come."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > timeout:
            raise SurpriseError(f"after {timeout:.0f} s still is not so: {what}")
        time.sleep(0.1)  # the pace of looking; the condition is `holds`
    return time.monotonic() - began
