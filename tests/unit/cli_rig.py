"""Apps and releases as kubectl prints them, and a kubectl that is a script with a directory for a cluster."""

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataapp_operator.cli import reading
from dataapp_operator.cli.kubectl import Kubectl
from dataapp_operator.cli.view import App, Release

Json = dict[str, Any]

NOW = datetime(2026, 11, 22, 10, 4, tzinfo=UTC)


def at(clock: str) -> str:
    """A moment of the day of :data:`NOW`."""
    return f"2026-11-22T{clock}:00Z"


def waiting(reason: str, message: str = "", until: str | None = None) -> Json:
    """What an environment waits for, since 10:01."""
    out = {"reason": reason, "message": message, "since": at("10:01")}
    return out | ({"until": at(until)} if until else {})


def environment(name: str, **memory: Any) -> Json:
    """An environment's memory; ``weights={13: 1000}`` and ``draining``, ``warm``, ``quarantined`` by release."""
    out: Json = {"name": name, "url": f"https://{name}.example.org"}
    for key, value in memory.items():
        if key == "weights":
            out[key] = [{"release": release, "weight": weight} for release, weight in value.items()]
        elif key in {"draining", "warm", "quarantined"}:
            out[key] = [{"release": release, **entry} for release, entry in value.items()]
        elif value is not None:
            out[key] = value
    return out


def serving(name: str, release: int, **memory: Any) -> Json:
    """An environment in which a release has served since 09:30."""
    known = {"stable": release, "stableSince": at("09:30"), "phase": "Released", "weights": {release: 1000}}
    return environment(name, **(known | memory))


def dataapp(*environments: Json, name: str = "sales", **more: Any) -> Json:
    """A DataApp that is Ready. ``annotations``, ``spec``, ``metadata`` and ``status`` are put on top."""
    ready = {"type": "Ready", "status": "True", "reason": "Released", "message": "all is well"}
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "DataApp",
        "metadata": {
            "name": name,
            "namespace": "analytics",
            "resourceVersion": "7",
            "creationTimestamp": "2026-10-12T10:00:00Z",
            "annotations": more.get("annotations", {}),
            **more.get("metadata", {}),
        },
        "spec": {"environments": [{"name": e["name"]} for e in environments], **more.get("spec", {})},
        "status": {"environments": list(environments), "conditions": [ready], **more.get("status", {})},
    }


def apprelease(
    environment_name: str, number: int, phase: str, *, steps: list[Json] | None = None, **status: Any
) -> Json:
    """An AppRelease."""
    plan = {"strategy": "canary", "steps": steps} if steps is not None else {"strategy": "blueGreen"}
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "AppRelease",
        "metadata": {"name": f"sales-{environment_name}-{number}", "namespace": "analytics"},
        "spec": {
            "app": "sales",
            "environment": environment_name,
            "number": number,
            "commit": f"{number:07x}".ljust(40, "0"),
            "plan": plan,
        },
        "status": {"phase": phase, **status},
    }


def view(*environments: Json, **more: Any) -> App:
    """The view of a DataApp."""
    return reading.app(dataapp(*environments, **more))


def records(*manifests: Json) -> tuple[Release, ...]:
    """The views of AppReleases."""
    return reading.releases(list(manifests))


SCRIPT = """#!{python}
import json, os, pathlib, sys, time
here = pathlib.Path({here!r})
args = sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(args) + "\\n")
words = [a for a in args if not a.startswith("-")]
verb, kind = words[0], words[1].split(".")[0]
watching = "--watch" in args
for what in ([f"watch-{{kind}}"] if watching else [f"{{verb}}-{{kind}}", verb]):
    failures = here / f"fail-{{what}}"
    if failures.exists() and (texts := json.loads(failures.read_text())):
        if len(texts) > 1 or "--forever" not in texts[0]:
            failures.write_text(json.dumps(texts[1:]))
        sys.exit(texts[0].replace("--forever", ""))

def items():
    return json.loads((here / f"{{kind}}.json").read_text())

def missing(name):
    sys.exit(f'Error from server (NotFound): {{words[1]}} "{{name}}" not found')

def chosen():
    if len(words) < 3:
        return items()
    found = [i for i in items() if i["metadata"]["name"] == words[2]]
    return found or missing(words[2])

if verb == "annotate":
    (item,) = chosen()
    (version,) = [a.partition("=")[2] for a in args if a.startswith("--resource-version=")]
    if version != item["metadata"]["resourceVersion"]:
        sys.exit('Error from server (Conflict): Operation cannot be fulfilled on dataapps: the object has been modified')
    for word in words[3:]:
        key, equals, value = word.partition("=")
        if equals:
            item["metadata"]["annotations"][key] = value
        else:
            del item["metadata"]["annotations"][key.removesuffix("-")]
    item["metadata"]["resourceVersion"] = str(int(version) + 1)
    if (here / "answer.json").exists():  # the operator is quick
        item["status"] = json.loads((here / "answer.json").read_text())
        for answer in [a for e in item["status"]["environments"] for a in e.get("answers", [])]:
            said = item["metadata"]["annotations"].get("dataapps.dev/" + answer["command"], "=")
            answer["word"] = said.rpartition("=")[2]
    text = json.dumps([item])
    (here / "new").write_text(text)
    os.replace(here / "new", here / f"{{kind}}.json")
elif watching:
    (here / f"watcher-{{os.getpid()}}").touch()
    seen = None
    while not (here / f"end-{{kind}}").exists():
        gone = seen is not None and len(words) > 2 and words[2] not in [i["metadata"]["name"] for i in items()]
        now = [] if gone else chosen()
        if now != seen:
            gone = [i for i in seen or [] if i["metadata"]["name"] not in [n["metadata"]["name"] for n in now]]
            for kind_of_event, some in (("ADDED" if seen is None else "MODIFIED", now), ("DELETED", gone)):
                for item in some:
                    print(json.dumps({{"type": kind_of_event, "object": item}}, indent=4), flush=True)
            seen = now
        time.sleep(0.02)
    (here / f"end-{{kind}}").unlink()
else:
    found = chosen()
    print(json.dumps(found[0] if len(words) > 2 else {{"kind": "List", "items": found}}, indent=4))
"""


@dataclass(frozen=True)
class FakeCluster:
    """A directory in which a script called kubectl finds its objects, and notes how it was called."""

    here: Path

    @classmethod
    def at(cls, here: Path, app: Json | None = None, *releases: Json) -> "FakeCluster":
        """A cluster with one app, or none."""
        cluster = cls(here)
        cluster.put("dataapps", *([app] if app else []))
        cluster.put("appreleases", *releases)
        script = here / "kubectl"
        script.write_text(SCRIPT.format(python=sys.executable, here=str(here)))
        script.chmod(0o755)
        return cluster

    @property
    def kubectl(self) -> Kubectl:
        """The kubectl that asks it."""
        return Kubectl(program=str(self.here / "kubectl"))

    def put(self, kind: str, *items: Json) -> None:
        """The objects that there are of a kind from now on."""
        (self.here / "put").write_text(json.dumps(items))
        (self.here / "put").replace(self.here / f"{kind}.json")

    def answers(self, status: Json) -> None:
        """The status that the operator writes as soon as it sees an annotation; its answers are to the words written."""
        (self.here / "answer.json").write_text(json.dumps(status))

    def fails(self, what: str, *said: str) -> None:
        """Have the next calls fail with these words; ``--forever`` in the last of them has it fail from then on."""
        (self.here / f"fail-{what}").write_text(json.dumps(said))

    def ends(self, kind: str) -> None:
        """End the watch of a kind, as a server does after a while."""
        (self.here / f"end-{kind}").touch()

    def calls(self, verb: str) -> list[list[str]]:
        """How it was called."""
        lines = (self.here / "calls").read_text().splitlines() if (self.here / "calls").exists() else []
        return [call for call in map(json.loads, lines) if verb in call]

    def app(self) -> Json:
        """The app as it is now."""
        (app,) = json.loads((self.here / "dataapps.json").read_text())
        return app

    def watchers(self) -> list[int]:
        """The processes that watch, or watched, and still run."""
        pids = [int(path.name.removeprefix("watcher-")) for path in self.here.glob("watcher-*")]
        return [pid for pid in pids if Path(f"/proc/{pid}").exists()]
