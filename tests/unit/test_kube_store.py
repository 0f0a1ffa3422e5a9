"""The store merges watch events, LISTs and our own writes, in whatever order they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.kube.kinds import DATAAPP, ENVIRONMENTCLASS, REPLICASET
from dataapp_operator.kube.store import Change, Store


def make(version, name="x", *, app="sales", kind=REPLICASET, namespace="ns", **more):
    metadata = {"name": name, "resourceVersion": str(version), "labels": {"dataapps.dev/app": app} if app else None}
    if kind.namespaced:
        metadata["namespace"] = namespace
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **more}


def change(name="x", app="sales", kind=REPLICASET, namespace="ns"):
    return Change(kind, namespace, name, app)


@pytest.fixture
def store():
    return Store({kind: lambda manifest: manifest for kind in (DATAAPP, REPLICASET, ENVIRONMENTCLASS)})


def version(store, name="x", kind=REPLICASET, namespace="ns"):
    manifest = store.get(kind, namespace, name)
    return manifest and int(manifest["metadata"]["resourceVersion"])


def test_the_newer_state_wins_whatever_the_order(store):
    assert store.observe("ADDED", make(9)) == (change(),)
    assert store.observe("MODIFIED", make(10)) == (change(),)
    # "9" > "10" as text: versions are numbers
    assert store.observe("MODIFIED", make(9)) == ()
    assert version(store) == 10


def test_a_deletion_outlives_older_news(store):
    store.observe("ADDED", make(3))
    assert store.observe("DELETED", make(5)) == (change(),)
    assert store.observe("MODIFIED", make(4)) == ()
    assert store.put(make(4)) == ()
    assert version(store) is None
    # the same name, another incarnation
    assert store.observe("ADDED", make(6)) == (change(),)
    # and the old one's end, reported once more, does not end the new one
    assert store.observe("DELETED", make(5)) == ()
    assert version(store) == 6


def test_the_answer_to_a_write_is_read_back_unless_something_newer_is_known(store):
    store.observe("ADDED", make(3))
    assert store.put(make(5)) == (change(),)
    assert store.observe("MODIFIED", make(4)) == ()
    assert store.put(make(5)) == ()
    assert version(store) == 5


def test_a_list_drops_what_it_lacks_unless_that_is_newer(store):
    store.observe("ADDED", make(3, "ghost"))
    store.observe("ADDED", make(8, "young"))
    assert store.replace(REPLICASET, [make(4, "listed")], 7) == (change("listed"), change("ghost"))
    assert {item["metadata"]["name"] for item in store.all(REPLICASET)} == {"listed", "young"}


def test_a_newer_watch_entry_and_tombstone_win_over_the_list(store):
    store.observe("MODIFIED", make(9, "modified"))
    store.observe("ADDED", make(5, "deleted"))
    store.observe("DELETED", make(10, "deleted"))
    assert store.replace(REPLICASET, [make(4, "modified"), make(5, "deleted")], 7) == ()
    assert version(store, "modified") == 9
    assert version(store, "deleted") is None
    # the tombstone is still there after that list, as it is newer
    assert store.observe("MODIFIED", make(9, "deleted")) == ()


def test_an_event_that_was_under_way_during_the_list_leaves_no_ghost(store):
    """Created at 5 and deleted at 6; the LIST at 7 lacks it; then the event of 5 arrives, and that of 6 is lost."""
    store.replace(REPLICASET, [], 7)
    assert store.observe("ADDED", make(5)) == ()
    assert store.observe(None, make(5)) == ()
    assert store.all(REPLICASET) == []
    # without the deletion being reported again, a new incarnation is seen
    assert store.observe("ADDED", make(8)) == (change(),)


def test_the_same_list_again_changes_nothing_and_an_older_one_neither(store):
    store.replace(REPLICASET, [make(4)], 7)
    assert store.replace(REPLICASET, [make(4)], 8) == ()
    assert store.replace(REPLICASET, [], 7) == ()
    assert version(store) == 4


def test_tombstones_go_once_a_list_has_passed_them(store):
    for number in range(100):
        store.observe("DELETED", make(number + 1, f"gone-{number}"))
    store.replace(REPLICASET, [], 50)
    assert len(store._shelves[REPLICASET].tombstones) == 50
    store.replace(REPLICASET, [], 100)
    assert not store._shelves[REPLICASET].tombstones


def test_synced_only_after_a_list_of_each_kind(store):
    store.observe(None, make(1))
    assert not store.synced(REPLICASET)
    store.replace(REPLICASET, [], 3)
    assert store.synced(REPLICASET)
    assert not store.synced()
    store.replace(DATAAPP, [], 3)
    store.replace(ENVIRONMENTCLASS, [], 3)
    assert store.synced()


def test_children_are_found_by_their_app(store):
    store.observe(None, make(2, "b"))
    store.observe(None, make(1, "a"))
    store.observe(None, make(3, "c", app="other"))
    store.observe(None, make(4, "d", namespace="elsewhere"))
    store.observe(None, make(5, "e", app=None))
    assert [item["metadata"]["name"] for item in store.by_app(REPLICASET, "ns", "sales")] == ["a", "b"]
    store.observe("DELETED", make(6, "a"))
    assert [item["metadata"]["name"] for item in store.by_app(REPLICASET, "ns", "sales")] == ["b"]
    assert store.by_app(REPLICASET, "ns", "nobody") == []


def test_a_dataapp_is_its_own_app_and_a_class_belongs_to_none(store):
    # a label on a DataApp is its author's affair
    assert store.observe(None, make(1, "sales", app="misleading", kind=DATAAPP)) == (change("sales", "sales", DATAAPP),)
    assert len(store.by_app(DATAAPP, "ns", "sales")) == 1
    klass = make(1, "prod", app=None, kind=ENVIRONMENTCLASS)
    assert store.observe(None, klass) == (Change(ENVIRONMENTCLASS, "", "prod", None),)
    assert store.get(ENVIRONMENTCLASS, None, "prod") == klass


def test_a_child_that_moves_from_one_app_to_another_concerns_both(store):
    store.observe(None, make(1, app="sales"))
    assert set(store.observe("MODIFIED", make(2, app="stock"))) == {change(app="stock"), change(app="sales")}
    assert store.by_app(REPLICASET, "ns", "sales") == []


def test_only_what_decisions_read_is_kept():
    store = Store({REPLICASET: lambda manifest: {"ready": manifest["status"]["ready"]}})
    store.observe("ADDED", make(1, status={"ready": 1}, spec={"template": "large"}))
    assert store.all(REPLICASET) == [{"ready": 1}]
    assert store.by_app(REPLICASET, "ns", "sales") == [{"ready": 1}]


# A history: each entry is a write at the next version, of one of three objects: True = it exists, False = deleted.
histories = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12)


@given(histories, st.data())
def test_any_order_of_streams_ends_in_the_truth(history, data):
    """Events arrive late, twice, or in any order across objects, LISTs in between: the end is what the cluster has."""
    store = Store({REPLICASET: lambda manifest: manifest})
    alive = {}
    events, snapshots = [], [(0, {})]
    for at, (name, exists) in enumerate(history, start=1):
        if exists:
            events.append(("MODIFIED" if name in alive else "ADDED", make(at, name)))
            alive = alive | {name: at}
        elif name in alive:
            events.append(("DELETED", make(at, name)))
            alive = {key: value for key, value in alive.items() if key != name}
        snapshots.append((at, alive))
    deliveries = data.draw(
        st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else [])
    )
    lists = sorted(data.draw(st.lists(st.sampled_from(snapshots), max_size=3)), key=lambda snapshot: snapshot[0])
    steps = [("event", event) for event in deliveries]
    for snapshot in lists:  # LISTs come in their own order, anywhere between the events
        steps.insert(data.draw(st.integers(0, len(steps))), ("list", snapshot))
    for what, payload in steps:
        if what == "event":
            store.observe(*payload)
        else:
            at, names = payload
            store.replace(REPLICASET, [make(version, name) for name, version in names.items()], at)
    assert {
        item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in store.all(REPLICASET)
    } == alive


@given(histories, st.data())
def test_a_last_list_mends_every_lost_event(history, data):
    """A broken watch loses any events at all: the next LIST restores the truth, by itself."""
    store = Store({REPLICASET: lambda manifest: manifest})
    alive = {}
    for at, (name, exists) in enumerate(history, start=1):
        event = ("MODIFIED", make(at, name)) if exists else ("DELETED", make(at, name))
        if exists:
            alive[name] = at
        else:
            alive.pop(name, None)
        if data.draw(st.booleans(), label="delivered"):
            store.observe(*event)
    store.replace(REPLICASET, [make(version, name) for name, version in alive.items()], len(history))
    assert {
        item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in store.all(REPLICASET)
    } == alive
    assert {item["metadata"]["name"] for item in store.by_app(REPLICASET, "ns", "sales")} == set(alive)
