"""What is written, what is taken away and what is left alone, decided without any cluster."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dataapp_operator.api.appsource import MAX_INVENTORY, AppSourceSpec, AppSourceStatus, InventoryEntry
from dataapp_operator.plan import source_status
from dataapp_operator.plan.names import (
    ANNOTATION_COMMIT,
    ANNOTATION_LEAVING,
    ANNOTATION_MANIFEST,
    ANNOTATION_PATH,
    LABEL_SOURCE,
)
from dataapp_operator.plan.source_facts import (
    Failure,
    GitApp,
    LiveApp,
    Reading,
    SourceFacts,
    Trouble,
    contains,
    digest,
    plain,
)
from dataapp_operator.plan.syncing import decide, words

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
OLD, NEW = "a" * 40, "b" * 40


def app(name, *, spec=None, digest="d1", directory=None):
    directory = directory or f"apps/{name}"
    return GitApp(
        name=name,
        path=f"{directory}/dataapp.yaml",
        directory=directory,
        spec=spec if spec is not None else {},
        labels={},
        annotations={},
        digest=digest,
    )


def entry(name, *, commit=OLD, tree="d1", path=None):
    return InventoryEntry(name=name, path=path or f"apps/{name}/dataapp.yaml", commit=commit, tree=tree)


def live(name, *, commit=OLD, source="apps", leaving=None, spec=None, deleting=False, **annotations):
    said = {ANNOTATION_PATH: f"apps/{name}", ANNOTATION_MANIFEST: f"apps/{name}/dataapp.yaml"}
    said |= {ANNOTATION_COMMIT: commit} if commit else {}
    said |= {ANNOTATION_LEAVING: leaving} if leaving else {}
    labels = {LABEL_SOURCE: source} if source else {}
    return LiveApp(
        name=name,
        resource_version="7",
        source=source,
        deleting=deleting,
        spec=spec if spec is not None else {"environments": []},
        labels=labels,
        annotations=said | annotations,
    )


def reading(*apps, troubles=(), unread=(), doubtful=(), commit=NEW):
    return Reading(
        revision=f"main@sha1:{commit}",
        commit=commit,
        apps=apps,
        troubles=tuple(troubles),
        unread=frozenset(unread),
        doubtful=None if doubtful is None else frozenset(doubtful),
    )


def facts(*lives, inventory=(), allow=None, refused=None, beyond=(), name="apps", **spec):
    return SourceFacts(
        namespace="team",
        name=name,
        now=NOW,
        generation=3,
        spec=AppSourceSpec.model_validate({"url": "https://git.example.org/team/apps.git"} | spec),
        status=AppSourceStatus(inventory=tuple(inventory)),
        allow_prune=allow,
        apps={one.name: one for one in lives},
        refused=refused or {},
        beyond=frozenset(beyond),
    )


def marked(sync):
    return [w.name for w in sync.writes if ANNOTATION_LEAVING in w.manifest["metadata"]["annotations"]]


def test_a_new_app_is_written_whole_with_where_it_comes_from() -> None:
    (write,) = decide(facts(), reading(app("sales", spec={"app": {"port": 80}}))).writes
    assert write.new
    assert write.manifest == {
        "apiVersion": "dataapps.dev/v1alpha1",
        "kind": "DataApp",
        "metadata": {
            "name": "sales",
            "namespace": "team",
            "labels": {LABEL_SOURCE: "apps"},
            "annotations": {
                ANNOTATION_PATH: "apps/sales",
                ANNOTATION_MANIFEST: "apps/sales/dataapp.yaml",
                ANNOTATION_COMMIT: NEW,
            },
        },
        "spec": {"app": {"port": 80}},
    }


def test_an_app_that_a_commit_did_not_touch_keeps_its_commit_and_is_not_written() -> None:
    sync = decide(facts(live("sales"), inventory=[entry("sales")]), reading(app("sales")))
    assert sync.writes == ()
    assert sync.inventory == (entry("sales"),)
    assert sync.changed == 0


def test_an_app_that_a_commit_touched_is_written_onto_the_version_that_was_seen() -> None:
    sync = decide(facts(live("sales"), inventory=[entry("sales")]), reading(app("sales", digest="d2")))
    (write,) = sync.writes
    assert write.manifest["metadata"]["resourceVersion"] == "7"
    assert write.manifest["metadata"]["annotations"][ANNOTATION_COMMIT] == NEW


@pytest.mark.parametrize("spec", [{"image": "x@sha256:0"}, {"source": {"url": "https://h/x.git"}}])
def test_the_commit_is_said_only_where_the_code_is_ours(spec) -> None:
    (write,) = decide(facts(), reading(app("sales", spec=spec))).writes
    assert ANNOTATION_COMMIT not in write.manifest["metadata"]["annotations"]
    there = live("sales", commit=OLD, spec=spec)
    assert len(decide(facts(there, inventory=[entry("sales")]), reading(app("sales", spec=spec))).writes) == 1


@pytest.mark.parametrize(
    "drifted",
    [
        live("sales", spec={"app": {"port": 81}}),
        live("sales", spec={}),
        live("sales", commit="c" * 40, spec={"app": {"port": 80}}),
        live("sales", leaving="main@sha1:x", spec={"app": {"port": 80}}),
        live("sales", source=None, spec={"app": {"port": 80}}),
        live("sales", spec={"app": {"port": 80}}, **{ANNOTATION_PATH: "elsewhere"}),
    ],
)
def test_what_differs_from_git_is_written_again_with_the_commit_it_had(drifted) -> None:
    sync = decide(facts(drifted, inventory=[entry("sales")]), reading(app("sales", spec={"app": {"port": 80}})))
    (write,) = sync.writes
    assert write.manifest["metadata"]["annotations"][ANNOTATION_COMMIT] == OLD


def test_an_app_gone_from_git_is_marked_as_it_is() -> None:
    there = live("old", spec={"app": {"port": 80}}, promote="production=3")
    sync = decide(facts(there, inventory=[entry("old")]), reading(app("sales")))
    mark = next(write for write in sync.writes if write.name == "old")
    assert mark.manifest["spec"] == {"app": {"port": 80}}
    assert mark.manifest["metadata"]["annotations"] == dict(there.annotations) | {
        ANNOTATION_LEAVING: f"main@sha1:{NEW}"
    }
    assert mark.manifest["metadata"]["resourceVersion"] == "7"
    assert entry("old") in sync.inventory


def test_a_marked_app_is_not_marked_again_and_stays_in_the_inventory_until_it_is_gone() -> None:
    state = facts(live("old", leaving="main@sha1:x"), live("sales"), inventory=[entry("old"), entry("sales")])
    sync = decide(state, reading(app("sales")))
    assert sync.writes == ()
    assert [e.name for e in sync.inventory] == ["old", "sales"]
    gone = decide(replace(state, apps={"sales": live("sales")}), reading(app("sales")))
    assert [e.name for e in gone.inventory] == ["sales"]


def test_prune_false_keeps_the_app_and_says_so() -> None:
    state = facts(live("old"), live("sales"), inventory=[entry("old"), entry("sales")], prune=False)
    sync = decide(state, reading(app("sales")))
    assert sync.writes == ()
    assert sync.kept == ("old",)
    assert len(sync.inventory) == 2
    assert "prune: false: old" in source_status.synced(state, reading(), sync, request=None).conditions[0].message


def test_an_app_that_was_applied_before_a_crash_is_known_by_its_label() -> None:
    assert marked(decide(facts(live("lost"), live("sales")), reading(app("sales")))) == ["lost"]


def test_nothing_is_marked_when_the_repository_has_no_manifest() -> None:
    sync = decide(facts(live("sales"), inventory=[entry("sales")]), reading())
    assert sync.halt is not None
    assert sync.halt.reason == "EmptySource"
    assert "kubectl -n team delete dataapp sales" in sync.halt.message
    assert sync.writes == ()
    assert sync.inventory == (entry("sales"),)


def test_an_empty_source_forgets_an_app_that_somebody_deleted() -> None:
    assert decide(facts(inventory=[entry("sales")]), reading()).inventory == ()


def test_an_app_whose_own_manifest_cannot_be_read_stays() -> None:
    bad = Trouble("apps/old/dataapp.yaml", "no field x", line=7)
    state = facts(live("old"), live("sales"), inventory=[entry("old"), entry("sales")])
    sync = decide(state, reading(app("sales"), troubles=[bad], unread=[bad.path]))
    assert sync.writes == ()
    assert sync.doubted == ("old",)
    assert [e.name for e in sync.inventory] == ["old", "sales"]


def test_an_app_that_may_have_moved_into_a_bad_manifest_stays_and_others_go() -> None:
    bad = Trouble("apps/moved/dataapp.yaml", "no field x")
    state = facts(live("old"), live("gone"), live("sales"), inventory=[entry(n) for n in ("gone", "old", "sales")])
    sync = decide(state, reading(app("sales"), troubles=[bad], unread=[bad.path], doubtful=["old", "name"]))
    assert marked(sync) == ["gone"]
    anything = decide(state, reading(app("sales"), troubles=[bad], unread=[bad.path], doubtful=None))
    assert marked(anything) == []


def test_an_app_renamed_in_its_file_takes_its_old_name_along() -> None:
    renamed = replace(app("revenue"), path="apps/sales/dataapp.yaml", directory="apps/sales")
    sync = decide(facts(live("sales"), inventory=[entry("sales")]), reading(renamed))
    assert marked(sync) == ["sales"]


def test_an_app_without_an_inventory_entry_is_kept_by_its_manifest_too() -> None:
    bad = Trouble("apps/lost/dataapp.yaml", "no field x")
    sync = decide(facts(live("lost"), live("sales")), reading(app("sales"), troubles=[bad], unread=[bad.path]))
    assert marked(sync) == []


def _many(count, gone, **more):
    names = [f"app{i}" for i in range(count)]
    state = facts(*(live(n) for n in names), inventory=[entry(n) for n in names], **more)
    return decide(state, reading(*(app(n) for n in names[gone:])))


@pytest.mark.parametrize(
    ("count", "gone", "held"), [(5, 2, False), (5, 3, True), (4, 3, False), (10, 5, False), (10, 6, True)]
)
def test_more_than_half_of_five_or_more_apps_go_only_with_leave(count, gone, held) -> None:
    sync = _many(count, gone)
    assert (sync.halt is not None) is held
    if sync.halt is None:
        assert len(marked(sync)) == gone
    else:
        assert f"would remove {gone} of {count} apps" in sync.halt.message
        assert f"dataapps.dev/allow-prune=main@sha1:{NEW}" in sync.halt.message
        assert sync.writes == ()


def test_leave_is_for_one_revision() -> None:
    assert len(marked(_many(5, 4, allow=f"main@sha1:{NEW}"))) == 4
    assert _many(5, 4, allow=f"main@sha1:{OLD}").halt is not None


@pytest.mark.parametrize("other", ["others", None])
def test_an_app_of_somebody_else_is_a_conflict_for_that_manifest_only(other) -> None:
    theirs = live("sales", source=other) if other else LiveApp("sales", "7", None, False, {}, {}, {})
    state = facts(theirs)
    sync = decide(state, reading(app("sales"), app("stock")))
    assert [write.name for write in sync.writes] == ["stock"]
    (trouble,) = sync.troubles
    assert trouble.conflict
    assert "sales" not in [e.name for e in sync.inventory]
    status = source_status.synced(state, reading(), sync, request=None)
    assert [c.reason for c in status.conditions] == ["Conflict", "Conflict"]


def test_an_app_that_another_source_took_over_is_neither_written_nor_marked() -> None:
    sync = decide(facts(live("sales", source="others"), inventory=[entry("sales")]), reading(app("stock")))
    assert [write.name for write in sync.writes] == ["stock"]
    assert sync.inventory == ()


def test_an_app_that_is_being_deleted_is_waited_for() -> None:
    state = facts(live("sales", deleting=True), inventory=[entry("sales")])
    sync = decide(state, reading(app("sales")))
    assert (sync.writes, sync.waiting) == ((), ("sales",))
    status = source_status.synced(state, reading(), sync, request=None)
    assert [(c.type, c.status) for c in status.conditions] == [("Ready", "False"), ("Reconciling", "True")]


def test_what_the_server_refused_is_a_problem_of_that_file() -> None:
    state = facts(live("sales"), inventory=[entry("sales")], refused={"sales": "spec.app.port: choose another"})
    sync = decide(state, reading(app("sales", digest="d2"), app("stock")))
    assert [str(t) for t in sync.troubles] == ["apps/sales/dataapp.yaml: spec.app.port: choose another"]
    assert sync.inventory == (entry("sales"),)


def test_too_many_apps_are_told_and_change_nothing() -> None:
    sync = decide(facts(), reading(*(app(f"a{i}") for i in range(MAX_INVENTORY + 1))))
    assert sync.halt is not None
    assert sync.halt.reason == "TooLarge"
    long = decide(facts(), reading(*(app(f"a{i}", directory=f"{'x' * 480}/{i}") for i in range(900))))
    assert long.halt is not None
    assert long.halt.reason == "TooLarge"


def test_a_name_too_long_for_a_label_is_told() -> None:
    sync = decide(facts(name="x" * 64), reading(app("sales")))
    assert sync.halt is not None
    assert "63" in sync.halt.message


@pytest.mark.parametrize(
    ("there", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({}, {"a": {}}, False),
        ({"l": [1, 2]}, {"l": [1]}, False),
        ({"l": [{"name": "x", "d": 1}, {"name": "y"}]}, {"l": [{"name": "y"}]}, True),
        ({"l": [{"name": "x"}, {"name": "y"}]}, {"l": [{"name": "y"}, {"name": "x"}]}, False),
        ({"l": "x"}, {"l": [1]}, False),
        ({"l": []}, {"l": []}, True),
    ],
)
def test_drift_is_what_git_says_and_the_cluster_does_not(there, wanted, same) -> None:
    assert contains(there, wanted) is same


def test_null_is_absent() -> None:
    assert plain({"a": None, "b": [{"c": None}]}) == {"b": [{}]}


def test_the_digest_changes_with_everything_that_an_app_is() -> None:
    base = app("sales")
    variants = [
        digest("u", base, "t"),
        digest("v", base, "t"),
        digest("u", base, "s"),
        digest("u", replace(base, spec={"app": {}}), "t"),
        digest("u", replace(base, labels={"x": "y"}), "t"),
        digest("u", replace(base, directory="x"), "t"),
    ]
    assert len(set(variants)) == len(variants)


def test_status_is_the_same_when_nothing_happened() -> None:
    state = facts(live("sales"), inventory=[entry("sales")])
    sync = decide(state, reading(app("sales")))
    status = source_status.synced(state, reading(app("sales")), sync, request=None)
    later = replace(state, now=datetime(2026, 11, 23, tzinfo=UTC), status=status)
    assert (
        source_status.synced(later, reading(app("sales")), decide(later, reading(app("sales"))), request=None) == status
    )


def test_revision_moves_only_when_everything_is_applied() -> None:
    state = facts(live("sales"), inventory=[entry("sales")])
    bad = Trouble("apps/x/dataapp.yaml", "there is no field foo", line=7)
    seen = reading(app("sales"), troubles=[bad], unread=[bad.path])
    status = source_status.synced(state, seen, decide(state, seen), request="r1")
    assert (status.revision, status.attempted_revision) == (None, f"main@sha1:{NEW}")
    assert status.summary == "1 app, 1 refused"
    assert status.last_handled_reconcile_at == "r1"
    ready = status.conditions[0]
    assert (ready.status, ready.reason) == ("False", "ManifestInvalid")
    assert ready.message.startswith("1 manifest cannot be applied: apps/x/dataapp.yaml:7: there is no field foo.")
    assert [c.type for c in status.conditions] == ["Ready", "Stalled"]


def test_two_problems_are_told_and_the_rest_counted() -> None:
    state = facts()
    bad = [Trouble(f"apps/x{i}/dataapp.yaml", "y" * 5000, line=i) for i in range(30)]
    seen = reading(app("sales"), troubles=bad, unread=[t.path for t in bad])
    status = source_status.synced(state, seen, decide(state, seen), request=None)
    assert "and 28 more" in status.conditions[0].message
    assert len(status.problems) == 20
    AppSourceStatus.model_validate(status.wire())


def test_a_look_that_failed_for_a_while_says_since_when() -> None:
    state = facts()
    failure = Failure("GitUnreachable", "git.example.org does not answer", transient=True)
    status = source_status.failed(state, failure, since=NOW, request=None)
    assert [(c.type, c.status) for c in status.conditions] == [("Ready", "False"), ("Reconciling", "True")]
    assert "since 2026-11-22T10:00:00Z" in status.conditions[0].message
    assert "go on untouched" in status.conditions[0].message
    assert source_status.failing_since(replace(state, status=status), failure) == NOW


@pytest.mark.parametrize(
    "raw", [None, [], "x", {"inventory": 5}, {"conditions": "?", "revision": 7}, {"history": [{"at": 1}]}]
)
def test_a_status_written_by_hand_is_read_as_far_as_it_can_be(raw) -> None:
    assert source_status.read(raw) == AppSourceStatus()


def test_a_status_keeps_what_can_be_read_of_it() -> None:
    good = entry("sales").wire()
    read = source_status.read({"inventory": [good, {"name": 1}, good], "history": "no"})
    assert read.inventory == (entry("sales"),)


def test_revisions_in_words() -> None:
    assert words(f"main@sha1:{NEW}") == "main@bbbbbbb"
    assert words(f"sha1:{NEW}") == "bbbbbbb"
