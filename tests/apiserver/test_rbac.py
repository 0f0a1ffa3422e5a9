"""The chart's rights and what the operator does with them: everything it needs, and nothing that it does not use.

Three witnesses: a service account of the test's own with the chart's roles, asked right by right; the same account,
denied what matters most; and the audit log, in which the real operator of this lab has left every call it ever made.
"""

import asyncio
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataapp_operator.kube.kinds import Kind
from tests.apiserver.conftest import call
from tests.harness.audit import AuditLog, Call, operator_audit
from tests.unit import chart_rig

pytestmark = pytest.mark.apiserver

REVIEW = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False)
ROLES = {
    kind: Kind("rbac.authorization.k8s.io", "v1", f"{kind.lower()}s", kind) for kind in ("Role", "RoleBinding")
} | {
    kind: Kind("rbac.authorization.k8s.io", "v1", f"{kind.lower()}s", kind, namespaced=False)
    for kind in ("ClusterRole", "ClusterRoleBinding")
}
WATCHED = {
    ("dataapps.dev", "dataapps"),
    ("dataapps.dev", "appreleases"),
    ("dataapps.dev", "environmentclasses"),
    ("dataapps.dev", "appsources"),
    ("dataapps.dev", "appbuilds"),
    ("batch", "jobs"),
    ("apps", "replicasets"),
    ("apps", "deployments"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("", "services"),
    ("", "pods"),
    ("gateway.networking.k8s.io", "httproutes"),
    ("gateway.networking.k8s.io", "gateways"),
    ("policy", "poddisruptionbudgets"),
    ("", "nodes"),
}
MADE = {
    ("apps", "replicasets"),
    ("apps", "deployments"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("", "services"),
    ("gateway.networking.k8s.io", "httproutes"),
    ("policy", "poddisruptionbudgets"),
}
BUILDING = {("batch", "jobs"), ("", "secrets")}
"""Made and deleted in the namespace of builds, and nowhere else."""
USED = (
    {(verb, *kind) for kind in WATCHED for verb in ("list", "watch")}
    | {(verb, *kind) for kind in MADE for verb in ("patch", "delete")}
    | {
        ("patch", "dataapps.dev", "dataapps/status"),
        ("patch", "dataapps.dev", "appreleases/status"),
        ("create", "dataapps.dev", "appreleases"),
        ("get", "dataapps.dev", "appreleases"),  # to adopt the one that a pass made which did not live to remember it
        ("patch", "dataapps.dev", "dataapps"),  # apps that a repository has; and the finalizer of every app
        ("delete", "dataapps.dev", "appreleases"),  # the oldest ones
        ("delete", "dataapps.dev", "appbuilds"),
        ("create", "events.k8s.io", "events"),
        ("get", "dataapps.dev", "dataapps"),  # whether there is one already that nobody here brought
        ("delete", "dataapps.dev", "dataapps"),  # and those that left it, once they are drained
        ("patch", "dataapps.dev", "appsources/status"),
        ("patch", "dataapps.dev", "appbuilds/status"),
        ("create", "dataapps.dev", "appbuilds"),
        ("get", "dataapps.dev", "appbuilds"),
        ("create", "authorization.k8s.io", "subjectaccessreviews"),
        ("get", "", "secrets"),
        *((verb, *kind) for kind in BUILDING for verb in ("create", "delete")),
        ("create", "apps", "deployments"),  # never applied as a whole: their size is not the operator's
        ("get", "apps", "deployments"),  # to find the one that a pass made which did not live to see it
        ("delete", "", "pods"),
        ("get", "", "pods/log"),
        ("create", "coordination.k8s.io", "leases"),
        ("get", "coordination.k8s.io", "leases"),
        ("update", "coordination.k8s.io", "leases"),
    }
)
"""(verb, API group, resource): every kind of call in the operator's code."""
UNSEEN = {("create", *kind) for kind in {*MADE, ("dataapps.dev", "dataapps")}} | {("get", *kind) for kind in WATCHED}
"""Rights that show in no call: a server-side apply of something new is a patch that needs `create` too; and who may
list an object may read it, so that leaving out `get` would protect nothing."""


def granted() -> set[tuple[str, str, str]]:
    """Every (verb, API group, resource) that the chart gives the operator."""
    return {
        (verb, group, resource)
        for role in (
            chart_rig.one("ClusterRole", *chart_rig.BUILDS),
            chart_rig.one("Role", *chart_rig.BUILDS),
            chart_rig.one("Role", *chart_rig.BUILDS, name="dataapp-operator-builds"),
        )
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture
def account(kubeconfig: Path, namespace: str) -> Iterator[tuple[str, str]]:
    """(user name, namespace) of a service account with the chart's roles under another name; they go at the end."""
    name = f"rbac-{secrets.token_hex(3)}"
    settings = (f"fullnameOverride={name}", "builds.namespace=forge", "builds.createNamespace=false", *chart_rig.BUILDS)
    rendered = [
        manifest
        for manifest in chart_rig.manifests(*settings)
        if manifest["kind"] in ROLES and manifest["metadata"]["name"] in {name, f"{name}-builds"}
    ]
    assert sorted(manifest["kind"] for manifest in rendered) == [
        *("ClusterRole", "ClusterRoleBinding"),
        *("Role", "Role", "RoleBinding", "RoleBinding"),
    ]
    places: list[tuple[Kind, str]] = []
    try:
        for manifest in rendered:
            place = _moved(manifest, namespace)
            kind = ROLES[place["kind"]]
            path = kind.path(namespace if kind.namespaced else None)
            asyncio.run(call(kubeconfig, "POST", kind, path, body=place))
            places.append((kind, f"{path}/{place['metadata']['name']}"))
        yield f"system:serviceaccount:{namespace}:{name}", namespace
    finally:
        for kind, path in places:
            asyncio.run(call(kubeconfig, "DELETE", kind, path))


def _moved(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    """A manifest of the chart in another namespace, which is that of the builds too."""
    text = json.dumps(manifest)
    for place in ("dataapp-system", "forge"):
        text = text.replace(json.dumps(place), json.dumps(namespace))
    moved: dict[str, Any] = json.loads(text)
    return moved


def may(kubeconfig: Path, user: str, verb: str, group: str, resource: str, *, namespace: str, name: str = "") -> bool:
    """What the API server's authorizer says."""
    plural, _, sub = resource.partition("/")
    about = {"verb": verb, "group": group, "resource": plural, "subresource": sub, "namespace": namespace, "name": name}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": about},
    }
    answer = asyncio.run(call(kubeconfig, "POST", REVIEW, REVIEW.path(), body=body))
    return bool(answer["status"]["allowed"])


def test_every_call_of_the_operator_is_allowed(kubeconfig: Path, account: tuple[str, str]) -> None:
    user, mine = account
    for verb, group, resource in sorted(USED):
        lease = resource == "leases"
        building = (group, resource) in BUILDING and verb in {"create", "delete"}
        name = "dataapp-operator" if lease and verb != "create" else ""
        where = mine if lease or building else "any-team"
        assert may(kubeconfig, user, verb, group, resource, namespace=where, name=name), f"{verb} {resource} is denied"


def test_what_it_never_does_is_denied(kubeconfig: Path, account: tuple[str, str]) -> None:
    user, mine = account
    never = [(verb, "", "secrets") for verb in ("list", "watch", "update", "patch")]
    never += [("update", "dataapps.dev", "dataapps"), ("patch", "dataapps.dev", "appsources")]
    for verb, (group, resource) in ((verb, kind) for verb in ("create", "delete") for kind in BUILDING):
        assert not may(kubeconfig, user, verb, group, resource, namespace="any-team"), f"{verb} {resource}"
    never += [("create", "", "pods"), ("create", "", "pods/exec"), ("get", "", "configmaps"), ("patch", "", "nodes")]
    never += [("update", "coordination.k8s.io", "leases"), ("impersonate", "", "users"), ("patch", "", "namespaces")]
    for where in ("any-team", mine):
        for verb, group, resource in never:
            assert not may(kubeconfig, user, verb, group, resource, namespace=where), f"{verb} {resource} in {where}"


def test_the_chart_grants_what_is_used_and_nothing_else() -> None:
    assert granted() - UNSEEN == USED - UNSEEN
    assert granted() <= USED | UNSEEN


@pytest.fixture
def history() -> list[Call]:
    """Every call of the operator that this lab's audit log holds."""
    log: AuditLog = operator_audit()
    calls = log.calls()
    if not calls:
        pytest.skip("the operator has not run in this lab yet: `make lab-up` installs it")
    return calls


def test_the_operator_was_never_denied_anything(history: list[Call]) -> None:
    denied = [str(entry) for entry in history if entry.forbidden]
    assert not denied, "\n".join(denied[:20])


def test_the_operator_made_no_kind_of_call_that_is_not_known_here(history: list[Call]) -> None:
    made = {(entry.verb, entry.group, entry.kind) for entry in history}
    unknown = made - USED
    assert not unknown, f"not in USED: {sorted(unknown)}"
    rare = sorted(f"{verb} {kind}" for verb, _, kind in USED - made)
    print(
        f"\n  {len(history)} calls of {len(made)} kinds in the audit log; not seen in it: {', '.join(rare) or 'none'}"
    )
