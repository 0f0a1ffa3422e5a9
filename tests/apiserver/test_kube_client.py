"""The verbs of the port against a real API server: what they do, and how its refusals arrive."""

import asyncio

import pytest
import pytest_asyncio
import yaml

from dataapp_operator.kube.client import ApiCluster
from dataapp_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    LeaseLost,
    Missing,
    NotServed,
    Rejected,
    Transient,
)
from dataapp_operator.kube.kinds import DATAAPP, LEASE, POD, REPLICASET, SERVICE, Kind
from dataapp_operator.kube.transport import Transport

pytestmark = [pytest.mark.apiserver, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def calls():
    return []


@pytest_asyncio.fixture
async def transport(kubeconfig, calls):
    async with await Transport.open(kubeconfig=str(kubeconfig), on_call=lambda *call: calls.append(call)) as transport:
        yield transport


@pytest_asyncio.fixture
async def cluster(transport):
    return ApiCluster(transport, guard=lambda: None)


def service(namespace, name="web", *, port=80, **metadata):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"ports": [{"port": port}], "selector": {"x": name}},
    }


def replicaset(namespace, name="rs", **spec):
    labels = {"x": name}
    container = {"name": "app", "image": "registry.example.org/none:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


def lease(namespace, name, **metadata):
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"holderIdentity": "nobody"},
    }


async def test_get_answers_the_object_or_none(cluster, namespace):
    assert await cluster.get(SERVICE, namespace, "web") is None
    stored = await cluster.apply(service(namespace))
    assert await cluster.get(SERVICE, namespace, "web") == stored


async def test_an_apply_that_changes_nothing_writes_nothing(cluster, namespace):
    first = await cluster.apply(service(namespace))
    again = await cluster.apply(service(namespace))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    changed = await cluster.apply(service(namespace, port=81))
    assert int(changed["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])


async def test_an_apply_takes_back_what_it_no_longer_says_and_has_one_manager(cluster, namespace):
    await cluster.apply(service(namespace, labels={"a": "1", "b": "2"}))
    stored = await cluster.apply(service(namespace, labels={"b": "2"}))
    assert stored["metadata"]["labels"] == {"b": "2"}
    assert {entry["manager"] for entry in stored["metadata"]["managedFields"]} == {"dataapp-operator"}


async def test_an_apply_onto_a_version_that_is_past_is_a_conflict(cluster, namespace):
    first = await cluster.apply(service(namespace))
    version = first["metadata"]["resourceVersion"]
    await cluster.apply(service(namespace, port=81, resourceVersion=version))
    with pytest.raises(Conflict):
        await cluster.apply(service(namespace, port=82, resourceVersion=version))


async def test_an_object_as_read_can_be_applied(cluster, namespace):
    """A manifest that carries managedFields (everything read does) is sent without them."""
    await cluster.apply(service(namespace))
    read = await cluster.get(SERVICE, namespace, "web")
    assert "managedFields" in read["metadata"]
    await cluster.apply(read)


async def test_create_tells_that_it_was_there_before(cluster, namespace):
    created = await cluster.create(replicaset(namespace))
    assert created["metadata"]["uid"]
    with pytest.raises(AlreadyExists, match='"rs" already exists'):
        await cluster.create(replicaset(namespace))


async def test_a_field_the_schema_does_not_know_is_rejected_with_its_name(cluster, namespace):
    with pytest.raises(Rejected, match="surprise") as applied:
        await cluster.apply(replicaset(namespace, surprise=1))
    assert "failed to create typed patch object" not in applied.value.message
    with pytest.raises(Rejected, match="surprise"):
        await cluster.create(replicaset(namespace, surprise=1))


async def test_an_impossible_value_is_rejected_in_the_servers_words(cluster, namespace):
    with pytest.raises(Rejected) as caught:
        await cluster.apply(replicaset(namespace, replicas=-1))
    assert caught.value.code == 422
    assert caught.value.message.startswith("spec.replicas: Invalid value: -1")


async def test_an_immutable_field_is_rejected(cluster, namespace):
    await cluster.apply(replicaset(namespace))
    with pytest.raises(Rejected, match="immutable"):
        await cluster.apply(replicaset(namespace, selector={"matchLabels": {"x": "rs", "y": "z"}}))


async def test_a_write_into_a_namespace_that_does_not_exist_is_missing(cluster):
    for write in (cluster.create, cluster.apply):
        with pytest.raises(Missing, match="test-nowhere"):
            await write(service("test-nowhere"))


async def test_status_is_applied_apart_and_of_an_object_that_is_gone_it_is_missing(cluster, namespace):
    stored = await cluster.apply(replicaset(namespace))
    head = {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
    status = head | {"metadata": {"name": "rs", "namespace": namespace}, "status": {"replicas": 0, "readyReplicas": 0}}
    after = await cluster.apply(status, subresource="status")
    assert after["spec"] == stored["spec"]
    gone = status | {"metadata": {"name": "gone", "namespace": namespace}}
    with pytest.raises(Missing):
        await cluster.apply(gone, subresource="status")
    assert await cluster.get(REPLICASET, namespace, "gone") is None


async def test_a_rule_of_ours_arrives_as_its_own_sentence(cluster, crds, namespace):
    manifest = {
        "apiVersion": DATAAPP.api_version,
        "kind": DATAAPP.kind,
        "metadata": {"name": "sales", "namespace": namespace},
        "spec": {"image": "registry.example.org/sales:latest", "app": {"framework": "streamlit"}, "environments": []},
    }
    with pytest.raises(Rejected, match="pin the image by its digest") as caught:
        await cluster.create(manifest)
    assert "is invalid" not in caught.value.message
    assert '"string"' not in caught.value.message


async def test_a_kind_that_is_not_installed_is_not_served_whatever_the_verb(cluster, namespace):
    kinds = (
        Kind("example.org", "v1", "nones", "None"),  # the group is not there
        Kind("apps", "v1", "nones", "None"),  # the group is there, the kind is not
    )
    for kind in kinds:
        with pytest.raises(NotServed, match="does not serve None"):
            await cluster.list(kind)
        with pytest.raises(NotServed):
            await cluster.get(kind, namespace, "x")
        with pytest.raises(NotServed):
            await cluster.delete(kind, namespace, "x", uid="1")


async def test_a_list_is_paged_consistent_filtered_and_says_what_its_items_are(cluster, namespace, monkeypatch, calls):
    monkeypatch.setattr("dataapp_operator.kube.client.PAGE", 2)
    for number in range(5):
        await cluster.apply(lease(namespace, f"l{number}", labels={"test": namespace}))
    del calls[:]
    listing = await cluster.list(LEASE, label_selector=f"test={namespace}")
    assert {item["metadata"]["name"] for item in listing.items} == {"l0", "l1", "l2", "l3", "l4"}
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {(LEASE.api_version, "Lease")}
    assert listing.resource_version >= max(int(item["metadata"]["resourceVersion"]) for item in listing.items)
    assert len(calls) >= 3
    assert set(calls) == {("list", "leases", "200")}


async def test_delete_is_of_one_incarnation_only(cluster, namespace):
    old = await cluster.create(lease(namespace, "l"))
    uid = old["metadata"]["uid"]
    with pytest.raises(Conflict):
        await cluster.delete(LEASE, namespace, "l", uid="00000000-0000-0000-0000-000000000000")
    changed = await cluster.apply(lease(namespace, "l", labels={"x": "y"}))
    with pytest.raises(Conflict):
        await cluster.delete(LEASE, namespace, "l", uid=uid, resource_version=old["metadata"]["resourceVersion"])
    version = changed["metadata"]["resourceVersion"]
    await cluster.delete(LEASE, namespace, "l", uid=uid, resource_version=version)
    assert await cluster.get(LEASE, namespace, "l") is None
    await cluster.delete(LEASE, namespace, "l", uid=uid)  # gone already: fine


async def test_delete_with_orphans_leaves_the_pods(cluster, namespace):
    """To end a slot: its ReplicaSet first, with orphan propagation, then its pod with a short grace."""
    created = await cluster.create(replicaset(namespace, replicas=1))

    async def pods():
        listing = await cluster.list(POD, label_selector="x=rs")
        return [pod for pod in listing.items if pod["metadata"]["namespace"] == namespace]

    async with asyncio.timeout(30):
        while not await pods():
            await asyncio.sleep(0.1)
        await cluster.delete(REPLICASET, namespace, "rs", uid=created["metadata"]["uid"], propagation="Orphan")
        while await cluster.get(REPLICASET, namespace, "rs"):
            await asyncio.sleep(0.1)
    (pod,) = await pods()
    assert not pod["metadata"].get("ownerReferences")
    assert "deletionTimestamp" not in pod["metadata"]
    name = pod["metadata"]["name"]
    await cluster.delete(POD, namespace, name, uid=pod["metadata"]["uid"], grace_seconds=0)
    assert await cluster.get(POD, namespace, name) is None


async def test_there_is_no_log_of_a_pod_that_is_not_there(cluster, namespace):
    assert await cluster.log(namespace, "nobody", "app", tail_lines=5) == ""


async def test_without_the_lease_nothing_is_written_and_reading_goes_on(transport, namespace, calls):
    def no():
        raise LeaseLost("we do not lead")

    cluster = ApiCluster(transport, guard=no)
    writes = (
        cluster.create(service(namespace)),
        cluster.apply(service(namespace)),
        cluster.replace(service(namespace)),
        cluster.delete(SERVICE, namespace, "web", uid="1"),
    )
    for write in writes:
        with pytest.raises(LeaseLost):
            await write
    assert calls == []
    assert await cluster.get(SERVICE, namespace, "web") is None
    assert calls == [("get", "services", "404")]


async def test_a_client_without_rights_is_rejected_with_the_right_it_lacks(kubeconfig, namespace, tmp_path):
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    config["users"] = [{"name": user["name"], "user": {}} for user in config["users"]]
    path = tmp_path / "anonymous"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    async with await Transport.open(kubeconfig=str(path)) as transport:
        cluster = ApiCluster(transport, guard=lambda: None)
        with pytest.raises((Rejected, Transient), match=r"cannot list resource|credentials"):
            await cluster.list(SERVICE)


async def test_calls_are_counted_by_verb_kind_and_code(cluster, namespace, calls):
    created = await cluster.create(service(namespace))
    with pytest.raises(AlreadyExists):
        await cluster.create(service(namespace))
    await cluster.apply(service(namespace))
    await cluster.delete(SERVICE, namespace, "web", uid=created["metadata"]["uid"])
    assert calls == [
        ("create", "services", "201"),
        ("create", "services", "409"),
        ("apply", "services", "200"),
        ("delete", "services", "200"),
    ]
