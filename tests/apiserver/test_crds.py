"""The definitions on a real API server: what it refuses and in which words, what it fills in, what `kubectl get` shows.

An author meets these answers before the operator meets the object, in the terminal or in the dry run of a CI job. So
each is held to one standard: it names the field, and says what to write instead.
"""

import asyncio
import copy
import json
import shutil

import pytest

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.environmentclass import EnvironmentClassSpec, GatewayRef
from dataapp_operator.kube.errors import NotServed, Rejected
from dataapp_operator.kube.kinds import APPRELEASE, DATAAPP, ENVIRONMENTCLASS, HTTPROUTE
from dataapp_operator.plan import desired, routes
from dataapp_operator.plan.wishes import Wish
from tests.apiserver.conftest import ROOT, call
from tests.harness.cluster import Kube

pytestmark = [pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

IMAGE = "registry.example.org/sales@sha256:" + "a" * 64
SECRET = {"secretKeyRef": {"name": "db", "key": "password"}}

APP_REFUSALS = {
    "a tag": ("image", "registry.example.org/sales:latest", "spec.image", "pin the image by its digest"),
    "the front's port": ("app.port", 18081, "spec.app.port", "18080 to 18082 are used by the session counter"),
    "no port": ("app.port", 0, "spec.app.port", "greater than or equal to 1"),
    "too many replicas": ("app.replicas.min", 9, "spec.app.replicas.min", "less than or equal to 8"),
    "words for a number": ("app.replicas.min", "two", "spec.app.replicas.min", "must be of type integer"),
    "another framework": ("app.framework", "dash", "spec.app.framework", 'supported values: "streamlit", "shiny-r"'),
    "cpu in words": ("app.resources.cpu", "half", "spec.app.resources.cpu", "write CPU like 500m"),
    "memory with a space": ("app.resources.memory", "512 MB", "spec.app.resources.memory", "write memory like 512Mi"),
    "bytes taken for Mi": ("app.resources.memory", "512", "spec.app.resources.memory", "less than 16Mi of memory"),
    "no duration": ("app.probe.startup", "soon", "spec.app.probe.startup", "a duration is written like 30s"),
    "value and valueFrom": (
        "app.env",
        [{"name": "A", "value": "1", "valueFrom": SECRET}],
        "spec.app.env[0]",
        "either a value or valueFrom.secretKeyRef, not both",
    ),
    "neither value nor valueFrom": ("app.env", [{"name": "A"}], "spec.app.env[0]", "not both and not neither"),
    "the operator's variable": (
        "app.env",
        [{"name": "DATAAPP_PIN", "value": "1"}],
        "spec.app.env[0].name",
        "names that begin with DATAAPP_ are set by the operator",
    ),
    "a variable named 1A": ("app.env", [{"name": "1A", "value": "1"}], "spec.app.env[0].name", "begin with a digit"),
    "a variable twice": (
        "app.env",
        [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        "spec.app.env[1]",
        'Duplicate value: {"name":"A"}',
    ),
    "an image and code": (
        "source",
        {"url": "https://git.example.org/a/b.git"},
        "spec",
        "either a prebuilt image or code",
    ),
    "places by the CPU for an app of sessions": (
        "app",
        {"framework": "streamlit", "replicas": {"min": 1, "max": 2, "cpu": 70}},
        "spec",
        "replicas.cpu is for apps that keep no sessions",
    ),
    "places by the CPU for an API with sessions": (
        "app",
        {"framework": "fastapi", "sessions": "inProcess", "replicas": {"min": 1, "max": 2, "cpu": 70}},
        "spec",
        "replicas.cpu is for apps that keep no sessions",
    ),
    "more copies for two reasons": (
        "app",
        {"framework": "fastapi", "replicas": {"min": 1, "max": 2, "cpu": 70, "sessionsPerReplica": 3}},
        "spec.app.replicas",
        "say either replicas.cpu or replicas.sessionsPerReplica",
    ),
    "more copies for no reason": (
        "app",
        {"framework": "fastapi", "replicas": {"min": 1, "max": 2}},
        "spec.app.replicas",
        "in replicas.cpu at how many percent of its CPU another is needed",
    ),
    "an image of nobody knows what": ("app", {}, "spec", "set app.framework"),
    "a pin that is no commit": (
        "environments",
        [{"name": "test", "pin": "main"}],
        "spec.environments[0].pin",
        "write the commit with 7 to 40 hexadecimal digits",
    ),
    "an environment with a dash": (
        "environments",
        [{"name": "pre-prod"}],
        "spec.environments[0].name",
        "small letters and digits, no '-'",
    ),
    "a long environment": ("environments", [{"name": "e" * 16}], "spec.environments[0].name", "more than 15"),
    "an environment twice": (
        "environments",
        [{"name": "test"}, {"name": "test"}],
        "spec.environments[1]",
        'Duplicate value: {"name":"test"}',
    ),
    "a URL for a host": (
        "environments",
        [{"name": "test", "host": "http://Sales.example.org/"}],
        "spec.environments[0].host",
        "a host is a DNS name such as sales.example.org",
    ),
    "a host with a long label": (
        "environments",
        [{"name": "test", "host": "s" * 64 + ".example.org"}],
        "spec.environments[0].host",
        "at most 63 characters between two dots",
    ),
    "bake in words": (
        "environments",
        [{"name": "test", "release": {"bake": "10 minutes"}}],
        "spec.environments[0].release.bake",
        "a duration is written like 30s, 10m or 1h30m",
    ),
    "empty longer than max": (
        "environments",
        [{"name": "test", "release": {"drain": {"max": "1m", "emptyFor": "2m"}}}],
        "spec.environments[0].release.drain",
        "drain.emptyFor (how long a replica must be empty) cannot be longer than drain.max",
    ),
    "another strategy": (
        "environments",
        [{"name": "test", "release": {"strategy": "bigBang"}}],
        "spec.environments[0].release.strategy",
        'supported values: "blueGreen", "canary", "recreate"',
    ),
    "a hold of what ends first": (
        "environments",
        [{"name": "test", "release": {"compatibility": "exclusive", "blueGreen": {"hold": "10m"}}}],
        "spec.environments[0].release",
        "blueGreen.hold is for strategy: blueGreen; leave it out",
    ),
    "steps of what runs alone": (
        "environments",
        [{"name": "test", "release": {"strategy": "canary", "compatibility": "exclusive"}}],
        "spec.environments[0].release",
        "use strategy: recreate",
    ),
    "no way back and nothing beside it": (
        "environments",
        [{"name": "test", "release": {"strategy": "recreate", "compatibility": "irreversible"}}],
        "spec.environments[0].release",
        "use blueGreen or canary",
    ),
    "a hold of a canary": (
        "environments",
        [{"name": "test", "release": {"strategy": "canary", "blueGreen": {"hold": "10m"}}}],
        "spec.environments[0].release",
        "blueGreen.hold is for strategy: blueGreen; leave it out",
    ),
}
CLASS_REFUSALS = {
    "one host for all": ("hostTemplate", "sales.localhost", "spec.hostTemplate", "must contain {app}"),
    "one preview for all": (
        "previewHostTemplate",
        "{app}.localhost",
        "spec.previewHostTemplate",
        "must contain {app}, {release} and {environment}",
    ),
    "a URL without host": ("urlTemplate", "http://x/", "spec.urlTemplate", "must contain {host}, as in https://{host}"),
    "a URL as address": ("gateway.address", "http://x:80/", "spec.gateway.address", "write the address as host:port"),
}


@pytest.fixture(scope="module")
def kube(kubeconfig):
    """kubectl, since that is what an author has in hand."""
    import lab.context  # noqa: PLC0415 - the lab is not on the path of unit tests
    import lab.errors  # noqa: PLC0415

    try:
        kubectl = str(lab.context.Lab.here(ROOT).binary("kubectl"))
    except lab.errors.LabError:
        kubectl = shutil.which("kubectl") or pytest.skip("no kubectl: `make lab-up` makes one")
    return Kube(kubectl, kubeconfig)


def app(namespace="default", name="sales", **spec):
    environments = [{"name": "sandbox"}]
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "DataApp",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"image": IMAGE, "app": {"framework": "streamlit"}, "environments": environments, **spec},
    }


def environment_class():
    return {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "EnvironmentClass",
        "metadata": {"name": "never-created"},
        "spec": {
            "gateway": {"namespace": "gateways", "name": "public"},
            "hostTemplate": "{app}.localhost",
            "previewHostTemplate": "{app}--r{release}--{environment}.localhost",
        },
    }


def with_field(manifest, path, value):
    manifest = copy.deepcopy(manifest)
    at = manifest["spec"]
    *parents, last = path.split(".")
    for part in parents:
        at = at.setdefault(part, {})
    at[last] = value
    return manifest


def answer(kube, manifest):
    """What kubectl prints for a manifest, without anything being stored."""
    return kube.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest), check=False)


@pytest.mark.parametrize("case", APP_REFUSALS)
def test_an_app_that_cannot_be_is_refused_with_the_field_and_what_to_write(kube, case):
    path, value, where, words = APP_REFUSALS[case]
    said = answer(kube, with_field(app(), path, value))
    assert "is invalid" in said
    assert where in said
    assert words in said
    assert "should match" not in said, "a regular expression is no sentence"
    assert "evaluating rule" not in said, "a rule that breaks is no sentence"


@pytest.mark.parametrize("case", CLASS_REFUSALS)
def test_a_class_that_cannot_be_is_refused_with_the_field_and_what_to_write(kube, case):
    path, value, where, words = CLASS_REFUSALS[case]
    said = answer(kube, with_field(environment_class(), path, value))
    assert f'EnvironmentClass "never-created" is invalid: {where}' in said
    assert words in said


@pytest.mark.parametrize("name", ["a" * 31, "1sales", "sales.eu"])
def test_a_name_from_which_no_names_can_be_made_is_refused(kube, name):
    said = answer(kube, app(name=name))
    assert "an app's name has at most 30 characters: small letters, digits and '-', beginning with a letter" in said


def test_the_longest_names_are_taken(kube):
    said = answer(kube, app(name="a" * 30, environments=[{"name": "e" * 15}]))
    assert "created (server dry run)" in said


def test_a_drain_that_is_no_duration_is_told_once_and_where_it_is(kube):
    said = answer(kube, with_field(app(), "environments", [{"name": "a", "release": {"drain": {"max": "4 h"}}}]))
    assert "spec.environments[0].release.drain.max" in said
    assert "a duration is written like 30s, 10m or 1h30m" in said
    assert "evaluating rule" not in said


def test_kubectl_names_an_unknown_field_with_its_path(kube):
    said = answer(kube, with_field(app(), "app.replica", 3))
    assert 'strict decoding error: unknown field "spec.app.replica"' in said
    said = answer(kube, with_field(app(), "environments", [{"name": "test", "promotion": {"gates": []}}]))
    assert 'unknown field "spec.environments[0].promotion.gates"' in said


def test_strict_validation_refuses_an_unknown_field_by_any_client(kubeconfig, namespace):
    manifest = with_field(app(namespace), "flags", {"newModel": {"default": False}})
    with pytest.raises(Rejected, match=r'unknown field "spec.flags"'):
        asyncio.run(call(kubeconfig, "POST", DATAAPP, DATAAPP.path(namespace), body=manifest, fieldValidation="Strict"))


def test_the_server_fills_in_the_defaults_of_the_model(kubeconfig):
    """The class is one that nobody has, and nothing is stored: no operator acts on it."""
    dry = {"dryRun": "All"}
    stored = asyncio.run(call(kubeconfig, "POST", DATAAPP, DATAAPP.path("default"), body=app(), **dry))["spec"]
    assert stored == DataAppSpec.model_validate(app()["spec"]).wire()
    cls = environment_class()
    stored = asyncio.run(call(kubeconfig, "POST", ENVIRONMENTCLASS, ENVIRONMENTCLASS.path(), body=cls, **dry))["spec"]
    assert stored == EnvironmentClassSpec.model_validate(cls["spec"]).wire()


@pytest.fixture
def release(kubeconfig, namespace):
    """A record as the operator writes it, but of an app that does not exist."""
    spec = DataAppSpec.model_validate(app()["spec"])
    wish = Wish(image=IMAGE, config=spec.app, commit="9f2c" * 10)
    frozen = desired.release_spec("sales", wish, spec.environments[0], number=14)
    manifest = desired.release_manifest(frozen, namespace=namespace, app_uid="0")
    manifest["metadata"].pop("ownerReferences")  # the garbage collector takes what has no owner
    path = APPRELEASE.path(namespace)
    stored = asyncio.run(call(kubeconfig, "POST", APPRELEASE, path, body=manifest, fieldValidation="Strict"))
    assert AppReleaseSpec.model_validate(stored["spec"]) == frozen
    assert stored["spec"] == frozen.wire()
    return manifest


def test_a_record_never_changes(kube, namespace, release):
    change = json.dumps({"spec": {"image": IMAGE.replace("a" * 64, "b" * 64)}})
    name = release["metadata"]["name"]
    said = kube.run("patch", "apprelease", name, "-n", namespace, "--type=merge", "-p", change, check=False)
    assert "a release is a record: its spec never changes" in said


def test_the_columns_are_those_of_the_walkthrough(kube, namespace, release):
    """An app of a class that nobody has waits, whoever watches this server."""
    kube.apply(app(namespace, environments=[{"name": "sandbox", "class": "nobody-has-it"}]))
    shown = [line.split() for line in kube.run("get", "dataapps,appreleases", "-n", namespace).splitlines()]
    headers = [words for words in shown if words[:1] == ["NAME"]]
    assert headers == [
        ["NAME", "RELEASED", "MOVING", "WAITING", "SESSIONS", "COMMIT", "READY", "AGE"],
        ["NAME", "ENV", "RELEASE", "PHASE", "WEIGHT", "SESSIONS", "COMMIT", "REASON", "AGE"],
    ]
    row = next(words for words in shown if words[:1] == ["apprelease.dataapps.dev/sales-sandbox-14"])
    assert row[1:3] == ["sandbox", "14"]


def test_short_names_and_the_category_find_the_kinds(kube, namespace, release):
    kube.apply(app(namespace, environments=[{"name": "sandbox", "class": "nobody-has-it"}]))
    assert kube.run("get", "dapp", "-n", namespace, "-o", "name").split() == ["dataapp.dataapps.dev/sales"]
    assert kube.run("get", "arel", "-n", namespace, "-o", "name").split() == [
        "apprelease.dataapps.dev/sales-sandbox-14"
    ]
    assert "envclass" in kube.run("api-resources", "--api-group=dataapps.dev", "--no-headers")
    everything = kube.run("get", "dataapps-all", "-n", namespace, "-o", "name").split()
    assert {"dataapp.dataapps.dev/sales", "apprelease.dataapps.dev/sales-sandbox-14"} <= set(everything)


GATEWAY = GatewayRef(namespace="gateways", name="public", section_name="http")
NOWHERE = {"app": "sales", "environment": "sandbox", "host": "sales.test-nowhere.localhost", "gateway": GATEWAY}
ROUTES = {
    "weights of one slot": routes.weights_spec(**NOWHERE, shares={1: 1000}, slots={1: (0,)}, leaving=(), plan=1),
    "weights of three slots, two leaving": routes.weights_spec(
        **NOWHERE, shares={3: 1000}, slots={3: (0, 1, 2)}, leaving=(2, 1), plan=9
    ),
    "weights of a canary's step": routes.weights_spec(
        **NOWHERE, shares={3: 950, 4: 50}, slots={3: (0, 1), 4: (0, 1, 2)}, leaving=(2,), plan=9, named=(3,)
    ),
    "pins of two slots": routes.pins_spec(**NOWHERE, number=3, slots=(0, 1), cookie="c"),
    "pins of a release that is on its way": routes.pins_spec(
        **NOWHERE, number=3, slots=range(8), cookie="c", asked=range(8)
    ),
    "preview": routes.preview_spec(**NOWHERE, number=3),
    "proof of two slots": routes.proof_spec(**NOWHERE, number=3, slots=(0, 7)),
    "any listener": routes.pins_spec(
        **(NOWHERE | {"gateway": GatewayRef(namespace="gateways", name="public")}), number=3, slots=(0,), cookie="c"
    ),
}


@pytest.mark.parametrize("what", ROUTES)
def test_a_route_is_stored_exactly_as_it_was_written(kubeconfig, namespace, what):
    """Equality is how the operator finds out that nothing is left to do: a default it does not spell out is a loop."""
    labels = {"example.org/test": "true"}  # not ours: an operator that watches this server shall not care for it
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": namespace, "uid": "0"}
    body = routes.route(name="drift", namespace=namespace, labels=labels, owned_by=owner, spec=ROUTES[what])
    body["metadata"].pop("ownerReferences")
    how = {"fieldManager": "dataapp-tests", "force": "true", "content_type": "application/apply-patch+yaml"}
    path = HTTPROUTE.path(namespace, "drift")
    try:
        first = asyncio.run(call(kubeconfig, "PATCH", HTTPROUTE, path, body=body, **how))
    except NotServed:
        pytest.skip("this API server has no HTTPRoute: the lab's stage `gateway` installs the Gateway API")
    assert first["spec"] == ROUTES[what]
    again = asyncio.run(call(kubeconfig, "PATCH", HTTPROUTE, path, body=body, **how))
    assert again["metadata"]["generation"] == first["metadata"]["generation"] == 1
