"""What people get wrong, all at once on the real cluster: each app says what to mend, goes on once it is mended, and
disturbs nobody.

One namespace holds an app for every mistake, and one that is in order. The tests look at them in turn; every wait is
for what the app itself says. Nothing that is wrong may ever be sent a visitor.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.harness.cluster import Json, Kube, Team, condition, environment

pytestmark = pytest.mark.journey

NOTHING = "sha256:" + "0" * 64


@dataclass(frozen=True)
class Crowd:
    """A team whose every app but `healthy` has something wrong with it."""

    team: Team

    def class_name(self, name: str) -> str:
        """Classes belong to the cluster: the namespace keeps those of two runs apart."""
        return f"{self.team.namespace}-{name}"

    def environment_class(self, name: str, gateway: str, listener: str | None = None, **fields: str) -> Json:
        """A class behind a Gateway `namespace/name` (and a listener of it)."""
        namespace, _, gateway_name = gateway.partition("/")
        section = {"sectionName": listener} if listener else {}
        return {
            "apiVersion": "dataapps.dev/v1alpha1",
            "kind": "EnvironmentClass",
            "metadata": {"name": self.class_name(name)},
            "spec": {
                "gateway": {"namespace": namespace, "name": gateway_name, **section},
                "hostTemplate": "{app}--{namespace}.localhost",
                "previewHostTemplate": "{app}--r{release}--{environment}--{namespace}.localhost",
                "urlTemplate": "http://{host}:8088",
                **fields,
            },
        }

    def gateway(self, name: str, listener: Json, *, gateway_class: str = "traefik") -> Json:
        """A Gateway in the team's namespace, served by the lab's Traefik unless its class is nobody's."""
        listener = {"port": 8000, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}, **listener}
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": name, "namespace": self.team.namespace},
            "spec": {"gatewayClassName": gateway_class, "listeners": [listener]},
        }

    def app(self, name: str, image: str = "streamlit-v1", *, of: Json | None = None, **options: object) -> Json:
        """A manifest; ``of`` changes its environment (None takes a field away)."""
        manifest = self.team.manifest(name, image, **options)
        place = {**manifest["spec"]["environments"][0], **(of or {})}
        manifest["spec"]["environments"] = [{key: value for key, value in place.items() if value is not None}]
        return manifest

    def nothing(self) -> str:
        """An image of a repository that exists, by a digest that does not."""
        return f"{self.team.images['streamlit-v1'].partition('@')[0]}@{NOTHING}"

    def stalled(self, name: str, reason: str, *, timeout: float = 90) -> str:
        """The message of an app that waits for a person; what it says about itself must be of one piece."""
        message = self.team.wait_condition(name, "Stalled", reason, timeout=timeout)
        app = self.team.app(name)
        assert condition(app, "Ready")["status"] == "False"
        assert condition(app, "Ready")["message"] == message
        assert condition(app, "Reconciling") == {}, "kstatus: Stalled and Reconciling are never there together"
        assert condition(app, "Stalled")["observedGeneration"] == app["metadata"]["generation"]
        assert message.startswith("sandbox: ")
        print(f"\n  {name}: {reason}: {message}")
        return message


@pytest.fixture(scope="module")
def crowd(kube: Kube, images: dict[str, str]) -> Iterator[Crowd]:
    """All mistakes at once, applied together."""
    namespace = f"t-{secrets.token_hex(3)}"
    kube.run("create", "namespace", namespace)
    crowd = Crowd(Team(kube, namespace, images))
    narrow = f"{namespace}/narrow"
    kube.apply(crowd.gateway("narrow", {"name": "elsewhere", "hostname": "*.elsewhere.test"}))
    kube.apply(crowd.gateway("silent", {"name": "http"}, gateway_class="nobody-serves-it"))
    classes = [
        crowd.environment_class("narrow", narrow, "elsewhere"),
        crowd.environment_class("nolistener", "gateways/public", "no-such-listener"),
        crowd.environment_class("silent", f"{namespace}/silent"),
        crowd.environment_class("nogateway", f"{namespace}/comes-later"),
        crowd.environment_class("badhost", "gateways/public", "http", hostTemplate="{app}_of_{namespace}.localhost"),
        crowd.environment_class(
            "badpreview",
            "gateways/public",
            "http",
            previewHostTemplate="{app}--{release}--{environment}--" + "x" * 60 + ".localhost",
        ),
    ]
    for manifest in classes:
        kube.apply(manifest)
    password = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    broken = [
        crowd.app("noimage", crowd.nothing()),
        crowd.app("noregistry", f"registry.does-not-exist.invalid/apps/sales@{NOTHING}"),
        crowd.app("nolisten", "streamlit-nolisten", startup="20s"),
        crowd.app("noroom", app={"resources": {"cpu": "1000", "memory": "384Mi"}}),
        crowd.app("nosecret", app={"env": [password]}),
        crowd.app("nomemory", app={"resources": {"cpu": "20m", "memory": "20Mi"}}),
        crowd.app("noclass", of={"class": crowd.class_name("comes-later")}),
        *(
            crowd.app(name, of={"class": crowd.class_name(name)})
            for name in ("narrow", "nolistener", "silent", "nogateway", "badpreview")
        ),
        crowd.app("badhost", of={"class": crowd.class_name("badhost"), "host": None}),
    ]
    for manifest in broken:
        kube.apply(manifest)
    kube.apply(crowd.app("healthy"))
    yield crowd
    kube.run("delete", "namespace", namespace, "--wait=false")
    names = [manifest["metadata"]["name"] for manifest in classes]
    kube.run("delete", "environmentclass", "--ignore-not-found", *names, crowd.class_name("comes-later"))


def test_an_app_that_is_in_order_is_released_and_replaced_among_them(crowd: Crowd) -> None:
    crowd.team.wait_released("healthy", 1, timeout=180)
    crowd.team.release("healthy", "streamlit-v2", bake="2s")
    crowd.team.wait_released("healthy", 2, timeout=180)


# app -> (reason, what its message must say, seconds within which it must)
STALLS = {
    "noroom": ("NoRoom", ("no machine of the cluster has room", "not enough free CPU", "spec.app.resources"), 60),
    "nosecret": ("SecretMissing", ('secret "db" not found', "Create the Secret", "spec.app.env"), 60),
    "noclass": ("EnvironmentClassMissing", ("comes-later", "kubectl get environmentclasses", "sandbox"), 30),
    "nogateway": ("GatewayMissing", ("comes-later", "does not exist", "Ask the platform team"), 30),
    "badhost": ("HostInvalid", ("badhost_of_", "not a valid host name", "hostTemplate"), 30),
    "badpreview": ("HostInvalid", ("not a valid host name", "previewHostTemplate"), 30),
    "narrow": ("GatewayRejected", ("none of its listeners is for this host", "NoMatchingListenerHostname"), 180),
    "nolistener": ("GatewayRejected", ("gateways/public", "no such listener", "NoMatchingParent"), 180),
    "silent": ("GatewaySilent", ("does not show r1 yet", "does a gateway controller serve the Gateway"), 180),
}


@pytest.mark.parametrize("name", STALLS)
def test_what_a_person_must_mend_is_said(crowd: Crowd, name: str) -> None:
    reason, words, within = STALLS[name]
    message = crowd.stalled(name, reason, timeout=within)
    for part in words:
        assert part in message


def test_an_image_that_is_not_there_is_told_at_once_and_given_up_after_its_time(crowd: Crowd) -> None:
    """At once for its author; given up only after 90 s, since a registry may have it a moment later."""
    team = crowd.team
    failed = team.wait_phase("noimage", 1, "Failed", timeout=180)["status"]
    timeline = {entry["phase"]: entry["at"] for entry in failed["timeline"]}
    assert set(timeline) == {"Deploying", "Failed"}
    assert failed["reason"] == "ImagePullFailed"
    assert "the registry does not have it (not found)" in failed["message"]
    assert "Check the name and digest in spec.image" in failed["message"]
    message = crowd.stalled("noimage", "ReleaseFailed")
    assert "r1 is not tried again by itself: ImagePullFailed" in message
    fixed = time.monotonic()
    team.release("noimage", "streamlit-v1")
    assert team.wait_released("noimage", 2, timeout=120)
    print(f"\n  noimage: released {time.monotonic() - fixed:.0f} s after it was mended")


def test_the_image_is_waited_for_with_a_word_to_its_author(crowd: Crowd) -> None:
    crowd.team.kube.apply(crowd.app("late", crowd.nothing()))
    message = crowd.stalled("late", "ImagePullFailed", timeout=30)
    assert "the app's image cannot be fetched: the registry does not have it (not found)" in message
    crowd.team.release("late", "streamlit-v1")
    crowd.team.wait_released("late", 2, timeout=120)
    assert crowd.team.record("late", 1)["status"]["phase"] == "Superseded", "nobody need wait for the patience to end"


def test_a_registry_that_does_not_exist_is_told_apart_from_a_missing_image(crowd: Crowd) -> None:
    failed = crowd.team.wait_phase("noregistry", 1, "Failed", timeout=180)["status"]
    assert failed["reason"] == "ImagePullFailed"
    print(f"\n  noregistry: {failed['message']}")
    assert "its registry" in failed["message"]


def test_a_port_nobody_listens_on_fails_with_the_port_and_the_log(crowd: Crowd) -> None:
    failed = crowd.team.wait_phase("nolisten", 1, "Failed", timeout=120)["status"]
    assert failed["reason"] == "NothingListens"
    assert "nothing listened on port 8501 within 20s" in failed["message"]
    assert "set spec.app.port to the port it uses" in failed["message"]
    assert any("9000" in line for line in failed["log"]), "its log says where it listens"
    crowd.stalled("nolisten", "ReleaseFailed")
    crowd.team.release("nolisten", "streamlit-nolisten", app={"port": 9000})
    crowd.team.wait_released("nolisten", 2, timeout=120)


def test_too_little_memory_is_told_with_the_figure(crowd: Crowd) -> None:
    failed = crowd.team.wait_phase("nomemory", 1, "Failed", timeout=150)["status"]
    assert failed["reason"] == "Crashed"
    assert "needs more memory than it may use (20Mi): raise spec.app.resources.memory" in failed["message"]


def test_nothing_that_is_wrong_was_ever_given_a_visitor(crowd: Crowd) -> None:
    """A weights route exists only for those whose release passed its checks; the others' visitors would meet nothing."""
    checked = {"healthy", "narrow", "nolistener", "silent", "late", "noimage", "nolisten"}
    routes = {route["metadata"]["name"] for route in crowd.team.kube.list("httproutes", crowd.team.namespace)}
    weights = {name.removesuffix("-sandbox") for name in routes if name.endswith("-sandbox")}
    assert weights <= checked
    for name in ("noregistry", "nomemory", "noroom", "nosecret"):
        memory = environment(crowd.team.app(name))
        assert "stable" not in memory
        assert not memory.get("weights")


def test_each_goes_on_by_itself_once_it_is_mended(crowd: Crowd) -> None:
    team, kube = crowd.team, crowd.team.kube
    for name in ("nosecret", "noclass", "nogateway", "narrow", "noroom"):
        crowd.stalled(name, STALLS[name][0], timeout=STALLS[name][2])
    kube.run("create", "secret", "generic", "db", "-n", team.namespace, "--from-literal=password=x")
    kube.apply(crowd.environment_class("comes-later", "gateways/public", "http"))
    kube.apply(crowd.gateway("comes-later", {"name": "http"}))
    kube.apply(crowd.gateway("narrow", {"name": "elsewhere", "hostname": "*.localhost"}))
    team.release("noroom", "streamlit-v1")
    began = time.monotonic()
    for name, number in {"narrow": 1, "nosecret": 1, "noclass": 1, "nogateway": 1, "noroom": 2}.items():
        team.wait_released(name, number, timeout=240)
        print(f"\n  {name}: released {time.monotonic() - began:.0f} s after it was mended")
        assert condition(team.app(name), "Stalled") == {}


def test_a_host_that_another_app_has_is_refused_and_taken_over_when_it_is_free(team: Team) -> None:
    team.release("first", "streamlit-v1")
    team.wait_released("first", 1)
    second = team.manifest("second", "streamlit-v1")
    second["spec"]["environments"][0]["host"] = team.host("first")
    team.kube.apply(second)
    message = Crowd(team).stalled("second", "HostTaken", timeout=30)
    assert f"the host {team.host('first')} belongs to app 'first' in namespace '{team.namespace}' (sandbox)" in message
    assert "Choose another host" in message
    team.kube.run("delete", "dataapp", "first", "-n", team.namespace)
    team.wait_released("second", 1, timeout=150)


QUOTAS = {
    "memory": ({"requests.memory": "100Mi"}, "requested: requests.memory=416Mi"),
    "number of ReplicaSets": ({"count/replicasets.apps": "0"}, "requested: count/replicasets.apps=1"),
}


@pytest.mark.parametrize("what", QUOTAS)
def test_a_quota_that_does_not_fit_is_told_and_a_larger_one_is_noticed(team: Team, what: str) -> None:
    """The ReplicaSet controller alone would notice later and later: it doubles its pause up to 17 minutes."""
    hard, words = QUOTAS[what]
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team", "namespace": team.namespace},
        "spec": {"hard": hard},
    }
    team.kube.apply(quota)
    team.kube.wait("resourcequota", "team", team.namespace, lambda q: q.get("status"), what="the quota is counted")
    team.release("tight", "streamlit-v1")
    message = Crowd(team).stalled("tight", "QuotaExceeded", timeout=60)
    assert words in message
    assert "Ask for less in spec.app.resources or spec.app.replicas" in message
    assert "ask the platform team for a larger quota" in message
    if what == "memory":
        nudges: set[str] = set()

        def nudged_twice(replicaset: Json) -> bool:
            nudges.add(replicaset["metadata"].get("annotations", {}).get("dataapps.dev/nudge", ""))
            return len(nudges - {""}) > 1

        team.kube.wait("replicaset", "tight-sandbox-1-s0", team.namespace, nudged_twice, what="it was nudged twice")
    larger = {key: "4Gi" if "memory" in key else "10" for key in hard}
    team.kube.apply({**quota, "spec": {"hard": larger}})
    began = time.monotonic()
    team.wait_released("tight", 1, timeout=150)
    print(f"\n  tight ({what}): released {time.monotonic() - began:.0f} s after the quota was raised")


def test_a_pod_that_the_cluster_does_not_allow_is_told_in_its_words(team: Team) -> None:
    limit = {"type": "Container", "max": {"memory": "200Mi"}}
    team.kube.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "small", "namespace": team.namespace},
            "spec": {"limits": [limit]},
        }
    )
    team.release("large", "streamlit-v1")
    message = Crowd(team).stalled("large", "Refused", timeout=60)
    assert "the cluster refuses its pod: maximum memory usage per Container is 200Mi, but limit is 384Mi" in message
