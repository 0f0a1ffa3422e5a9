"""An AppSource from its repository to its apps: passes, faults, requests, and once on a real git server."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest

from dataapp_operator.api.reasons import Reason
from dataapp_operator.control.sources import requested
from dataapp_operator.kube.errors import Conflict, LeaseLost, Transient
from dataapp_operator.kube.queue import Failed, Ok, RequeueAfter
from dataapp_operator.plan.names import ANNOTATION_COMMIT, ANNOTATION_LEAVING, ANNOTATION_PATH, LABEL_SOURCE
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.hosts import HostPolicy
from dataapp_operator.source.hub import Hub
from tests.unit.git_rig import GitServer
from tests.unit.source_rig import DATAAPP, KEY, Crash, Rejected, Rig, files_of, manifest

pytestmark = pytest.mark.asyncio

UNREACHABLE = SourceError(Reason.GIT_UNREACHABLE, "git.example.org does not answer", transient=True)
REFUSED = SourceError(Reason.AUTHENTICATION_FAILED, "the server does not accept the credentials")


def fail(step, error):
    return lambda at: error if at == step else None


async def synced(*names, **spec):
    """A source that has these apps, and nothing to do."""
    rig = Rig(**spec)
    rig.hub.push(files_of(*names))
    await rig.settle()
    assert rig.condition()["reason"] == "Synced", rig.status
    rig.server.calls.clear()
    rig.server.writes.clear()
    rig.hub.steps.clear()
    return rig


async def test_apps_come_with_their_commit_and_the_status_says_so() -> None:
    rig = await synced("sales", "stock")
    assert set(rig.apps) == {"sales", "stock"}
    metadata = rig.apps["sales"]["metadata"]
    assert metadata["labels"][LABEL_SOURCE] == "apps"
    assert (metadata["annotations"][ANNOTATION_PATH], rig.commit_of("sales")) == ("apps/sales", rig.hub.head)
    assert rig.status["revision"] == rig.status["attemptedRevision"] == f"main@sha1:{rig.hub.head}"
    assert (rig.status["summary"], rig.condition()["message"]) == ("2 apps", f"2 apps from main@{rig.hub.head[:7]}")
    assert rig.status["history"][0]["changed"] == 2
    assert rig.status["observedGeneration"] == 1


async def test_a_source_says_that_it_is_reading_before_it_knows() -> None:
    rig = Rig()
    rig.hub.push(files_of("sales"))
    rig.hub.gate = asyncio.Event()
    await rig.step()
    assert (rig.condition()["status"], rig.condition("Reconciling")["status"]) == ("Unknown", "True")
    assert "observedGeneration" not in rig.status
    rig.hub.gate.set()
    rig.hub.gate = None
    await rig.settle()
    assert rig.condition()["status"] == "True"


async def test_a_source_in_step_makes_no_call_and_looks_by_its_interval() -> None:
    rig = await synced("sales", interval="1m")
    for _ in range(5):
        rig.later(70)
        await rig.settle()
    assert rig.server.calls == []
    assert rig.hub.steps == ["look"] * 5
    rig.later(10)
    result = await rig.step()
    assert rig.hub.steps == ["look"] * 5
    assert isinstance(result, RequeueAfter)
    assert 40 < result.seconds < 60


@pytest.mark.parametrize(("interval", "jitter", "pause"), [("1m", 0.0, 54), ("1m", 1.0, 66), ("1s", 0.5, 5)])
async def test_the_interval_has_jitter_and_a_floor(interval, jitter, pause) -> None:
    rig = Rig(interval=interval)
    rig.jitter = jitter
    rig.hub.push(files_of("sales"))
    await rig.settle()
    assert (rig.operator._reader._desks[KEY].due - rig.now) == timedelta(seconds=pause)


async def test_a_commit_that_touches_one_of_a_hundred_apps_writes_one_app() -> None:
    names = [f"app{i}" for i in range(100)]
    rig = await synced(*names)
    before = rig.hub.head
    await rig.push(files_of(*names) | {"apps/app7/app.py": b"print(2)"})
    assert rig.server.writes == ["apply app7", "status apps"]
    assert rig.commit_of("app7") == rig.hub.head
    assert rig.commit_of("app8") == before
    assert [h["changed"] for h in rig.status["history"]] == [1, 100]


async def test_a_commit_beside_all_apps_moves_the_revision_only() -> None:
    rig = await synced("sales")
    await rig.push(files_of("sales") | {"README.md": b"x"})
    assert rig.server.writes == ["status apps"]
    assert len(rig.status["history"]) == 1


async def test_an_included_directory_is_part_of_the_app() -> None:
    rig = Rig()
    files = files_of("sales", spec="{build: {include: [libs]}}") | {"libs/x.py": b"1"}
    await rig.push(files)
    rig.server.writes.clear()
    await rig.push(files | {"libs/x.py": b"2"})
    assert rig.server.writes == ["apply sales", "status apps"]


async def test_a_restarted_operator_writes_nothing() -> None:
    rig = await synced("sales", "stock")
    rig.start()
    await rig.settle()
    rig.later()
    await rig.settle()
    assert rig.server.writes == []
    assert rig.hub.steps == ["look", "files", "read", "trees"]


async def test_after_a_start_looks_are_spread() -> None:
    rig = await synced("sales")
    rig.start()
    result = await rig.step()
    assert rig.hub.steps == []
    assert isinstance(result, RequeueAfter)
    assert result.seconds < 60


async def test_an_edit_in_the_cluster_is_taken_back() -> None:
    rig = await synced("sales")

    def edit(app):
        app["metadata"]["annotations"][ANNOTATION_COMMIT] = "0" * 40
        app["metadata"]["labels"] = {}

    before = rig.hub.head
    rig.server.edit(DATAAPP, "sales", edit)
    await rig.settle()
    assert rig.commit_of("sales") == before
    assert rig.apps["sales"]["metadata"]["labels"][LABEL_SOURCE] == "apps"
    assert rig.server.writes == ["apply sales"]


async def test_a_deleted_app_comes_back_with_the_commit_it_had() -> None:
    rig = await synced("sales", "stock")
    before = rig.hub.head
    await rig.push(files_of("sales", "stock") | {"apps/stock/app.py": b"2"})
    rig.server.remove(DATAAPP, "sales")
    await rig.settle()
    assert rig.commit_of("sales") == before


async def test_a_field_that_somebody_else_insists_on_is_not_fought_over() -> None:
    rig = await synced("sales")

    async def stubborn(manifest, *, subresource=None, apply=rig.server.apply):
        if manifest["metadata"]["name"] == "sales":
            rig.server.calls.append("apply sales")
            return rig.server.objects[DATAAPP, "team", "sales"]
        return await apply(manifest, subresource=subresource)

    rig.server.apply = stubborn
    rig.server.edit(DATAAPP, "sales", lambda app: app["metadata"]["annotations"].update({ANNOTATION_LEAVING: "mine"}))
    for _ in range(5):
        rig.later()
        await rig.settle()
    assert rig.server.calls.count("apply sales") == 1


async def test_a_removed_manifest_marks_its_app_and_a_returning_one_takes_the_mark_away() -> None:
    rig = await synced("sales", "stock")
    await rig.push(files_of("stock"))
    assert rig.leaving == {"sales"}
    assert rig.apps["sales"]["metadata"]["annotations"][ANNOTATION_LEAVING] == f"main@sha1:{rig.hub.head}"
    assert rig.status["summary"] == "1 app, 1 leaving"
    assert [e["name"] for e in rig.status["inventory"]] == ["sales", "stock"]
    assert rig.condition()["status"] == "True"
    await rig.push(files_of("sales", "stock"))
    assert rig.leaving == set()
    await rig.push(files_of("stock"))
    rig.server.remove(DATAAPP, "sales")
    await rig.settle()
    assert [e["name"] for e in rig.status["inventory"]] == ["stock"]
    assert rig.status["summary"] == "1 app"


@pytest.mark.parametrize("step", ["look", "files", "read", "trees"])
@pytest.mark.parametrize("error", [UNREACHABLE, REFUSED, RuntimeError("a bug")])
async def test_a_repository_that_cannot_be_read_changes_no_app(step, error) -> None:
    rig = await synced("sales", "stock")
    rig.hub.fault = fail(step, error)
    await rig.push(files_of("stock"))
    assert rig.server.writes == ["status apps"]
    assert rig.condition()["status"] == "False"
    assert rig.condition("Stalled" if error is REFUSED else "Reconciling")["status"] == "True"
    assert rig.status["revision"] == f"main@sha1:{rig.hub.sha(0)}"
    assert len(rig.status["inventory"]) == 2
    if error is not REFUSED:
        assert "since 2026-" in rig.condition()["message"]
        assert "untouched" in rig.condition()["message"]
    rig.server.writes.clear()
    rig.later(1)
    for _ in range(3):
        rig.later(200)
        await rig.settle()
    assert rig.server.writes == []
    rig.hub.fault = lambda _step: None
    rig.later(200)
    await rig.settle()
    assert rig.condition()["status"] == "True"
    assert rig.leaving == {"sales"}


async def test_failed_looks_are_tried_again_with_growing_pauses() -> None:
    rig = await synced("sales", interval="10m")
    rig.hub.fault = fail("look", UNREACHABLE)
    rig.later(700)
    pauses = []
    for _ in range(5):
        await rig.settle()
        due = rig.operator._reader._desks[KEY].due
        pauses.append((due - rig.now).total_seconds())
        rig.now = due
    assert pauses == sorted(pauses)
    assert pauses[0] < 6
    assert pauses[-1] > 30


async def test_a_restart_does_not_forget_since_when_git_is_away() -> None:
    rig = await synced("sales")
    rig.hub.fault = fail("look", UNREACHABLE)
    rig.later()
    await rig.settle()
    said = rig.condition()["message"]
    rig.start()
    rig.later(600)
    await rig.settle()
    assert rig.condition()["message"] == said


async def test_an_empty_repository_takes_nothing_away() -> None:
    rig = await synced("sales")
    await rig.push({"README.md": b"x"})
    assert rig.leaving == set()
    assert (rig.condition()["reason"], rig.condition("Stalled")["status"]) == ("EmptySource", "True")
    assert len(rig.status["inventory"]) == 1
    rig.server.writes.clear()
    rig.later()
    await rig.settle()
    assert rig.server.writes == []


async def test_most_apps_go_only_with_leave_for_that_revision() -> None:
    names = [f"app{i}" for i in range(6)]
    rig = await synced(*names)
    await rig.push(files_of("app0", "app1"))
    assert rig.leaving == set()
    assert rig.condition("Stalled")["reason"] == "PruneHeld"
    rig.annotate(allow=f"main@sha1:{rig.hub.head}")
    await rig.settle()
    assert len(rig.leaving) == 4
    assert rig.condition()["status"] == "True"


async def test_a_bad_manifest_is_told_with_its_line_and_the_others_go_on() -> None:
    rig = await synced("sales", "stock")
    bad = manifest("sales", "{prot: 1}")
    await rig.push(files_of("sales", "stock") | {"apps/sales/dataapp.yaml": bad, "apps/stock/app.py": b"2"})
    assert rig.leaving == set()
    assert rig.server.writes == ["apply stock", "status apps"]
    assert rig.status["problems"][0]["path"] == "apps/sales/dataapp.yaml"
    assert rig.status["problems"][0]["line"] == 5
    assert "apps/sales/dataapp.yaml:5: " in rig.condition()["message"]
    assert rig.condition()["reason"] == "ManifestInvalid"
    assert rig.status["summary"] == "1 app, 1 refused"
    assert rig.status["revision"] == f"main@sha1:{rig.hub.sha(0)}"
    assert rig.status["attemptedRevision"] == f"main@sha1:{rig.hub.head}"
    await rig.push(files_of("sales", "stock"))
    assert rig.condition()["status"] == "True"
    assert rig.status["problems"] == []


@pytest.mark.parametrize("half", [b"", b"apiVersion: data", manifest("sales")[:-5], b"\xff\xfe", b"{" * 600])
async def test_half_a_manifest_takes_nothing_away(half) -> None:
    rig = await synced("sales", "stock")
    await rig.push(files_of("sales", "stock") | {"apps/sales/dataapp.yaml": half})
    assert rig.leaving == set()
    await rig.push(files_of("stock") | {"apps/moved/dataapp.yaml": manifest("sales")[:-9]})
    assert rig.leaving == set()


async def test_one_name_in_two_manifests_is_refused_in_both() -> None:
    rig = await synced("sales", "stock")
    await rig.push(files_of("sales", "stock") | {"apps/other/dataapp.yaml": manifest("sales", "{app: {port: 81}}")})
    assert rig.server.writes == ["status apps"]
    assert [p["path"] for p in rig.status["problems"]] == ["apps/other/dataapp.yaml", "apps/sales/dataapp.yaml"]
    await rig.push(files_of("stock") | {f"apps/{d}/dataapp.yaml": manifest("sales") for d in ("x", "y")})
    assert rig.leaving == set()


async def test_an_app_whose_directory_is_unsafe_is_refused_alone() -> None:
    rig = await synced("sales", "stock")
    rig.hub.refused["apps/sales"] = SourceError(Reason.UNSAFE_TREE, "apps/sales/x is a symbolic link")
    await rig.push(files_of("sales", "stock") | {"apps/stock/app.py": b"2", "apps/sales/app.py": b"2"})
    assert rig.server.writes == ["apply stock", "status apps"]
    assert rig.status["problems"][0]["message"] == "apps/sales/x is a symbolic link"


async def test_a_manifest_that_is_too_large_is_refused_alone() -> None:
    rig = await synced("sales", "stock")
    await rig.push(files_of("sales", "stock") | {"apps/sales/dataapp.yaml": b"#" * (2 << 20)})
    assert rig.leaving == set()
    assert "2048 KiB" in rig.status["problems"][0]["message"]


async def test_what_the_server_refuses_is_told_once_a_look() -> None:
    rig = Rig()
    rig.hub.push(files_of("sales", "stock"))
    rig.server.fault = lambda verb, name: (
        Rejected("spec.app.port: choose another port", code=422) if (verb, name) == ("apply", "sales") else None
    )
    await rig.settle()
    assert rig.server.calls.count("apply sales") == 1
    assert set(rig.apps) == {"stock"}
    assert rig.status["problems"][0]["message"] == "spec.app.port: choose another port"
    rig.server.writes.clear()
    rig.later()
    await rig.settle()
    assert rig.server.calls.count("apply sales") == 2
    assert rig.server.writes == []
    rig.server.fault = lambda _verb, _name: None
    rig.later()
    await rig.settle()
    assert rig.condition()["status"] == "True"


async def test_an_app_of_somebody_else_is_never_touched() -> None:
    rig = Rig()
    rig.put_app("sales")
    rig.put_app("stock", labels={LABEL_SOURCE: "others"})
    rig.hub.push(files_of("sales", "stock", "mine"))
    await rig.settle()
    assert rig.server.writes.count("apply sales") + rig.server.writes.count("apply stock") == 0
    assert rig.condition()["reason"] == "Conflict"
    assert "label dataapp sales dataapps.dev/source=apps" in rig.condition()["message"]
    await rig.push(files_of("mine"))
    assert rig.leaving == set()


async def test_an_app_that_appears_between_the_look_and_the_write_is_not_taken_over() -> None:
    rig = Rig()
    rig.hub.push(files_of("sales"))
    await rig.step()
    rig.server.watch = lambda _event, _manifest: None
    rig.put_app("sales")
    assert isinstance(await rig.step(), Failed)
    await rig.settle()
    assert rig.condition()["reason"] == "Conflict"
    assert "apply sales" not in rig.server.calls


async def test_a_conflict_is_tried_again_and_claims_nothing() -> None:
    rig = Rig()
    rig.hub.push(files_of("sales", "stock"))
    await rig.step()
    rig.server.fault = lambda verb, name: Conflict("moved on", code=409) if (verb, name) == ("apply", "sales") else None
    assert isinstance(await rig.step(), Failed)
    assert "revision" not in rig.status
    rig.server.fault = lambda _verb, _name: None
    await rig.settle()
    assert rig.status["summary"] == "2 apps"


async def test_an_api_server_in_trouble_is_waited_for() -> None:
    rig = await synced("sales")
    rig.server.fault = lambda verb, _name: Transient("busy", code=429, retry_after=7.0) if verb == "apply" else None
    rig.hub.push(files_of("sales") | {"apps/sales/app.py": b"2"})
    rig.later()
    await rig.step()
    assert await rig.step() == Failed(at_least=7.0)


async def test_losing_the_lease_ends_the_pass() -> None:
    rig = await synced("sales")
    rig.server.fault = lambda verb, _name: LeaseLost("gone") if verb == "apply" else None
    rig.hub.push(files_of("sales") | {"apps/sales/app.py": b"2"})
    rig.later()
    await rig.step()
    with pytest.raises(LeaseLost):
        await rig.step()


@pytest.mark.parametrize("key", ["requested", "flux"])
async def test_a_request_is_answered_with_a_fresh_look_and_acknowledged(key) -> None:
    rig = await synced("sales", interval="1h")
    rig.annotate(**{key: "r1"})
    await rig.settle()
    assert rig.hub.steps == ["look"]
    assert rig.hub.ages[-1] == 0.0
    assert rig.status["lastHandledReconcileAt"] == "r1"
    rig.later(60)
    await rig.settle()
    assert rig.hub.steps == ["look"]


async def test_a_request_during_a_look_is_not_lost() -> None:
    rig = await synced("sales", interval="1h")
    rig.hub.gate = asyncio.Event()
    rig.annotate(requested="r1")
    await rig.step()
    rig.annotate(requested="r2")
    await rig.step()
    assert "lastHandledReconcileAt" not in rig.status
    gate, rig.hub.gate = rig.hub.gate, None
    gate.set()
    await rig.settle()
    assert rig.hub.steps == ["look", "look"]
    assert rig.status["lastHandledReconcileAt"] == "r2"


async def test_a_request_that_failed_is_acknowledged_too() -> None:
    rig = await synced("sales", interval="1h")
    rig.hub.fault = fail("look", REFUSED)
    rig.annotate(requested="r1")
    await rig.settle()
    assert rig.status["lastHandledReconcileAt"] == "r1"
    assert rig.hub.steps == ["look"]


async def test_two_different_requests_are_one_request_of_both() -> None:
    ours, flux = "reconcile.dataapps.dev/requestedAt", "reconcile.fluxcd.io/requestedAt"
    assert requested({ours: "a", flux: "a"}) == "a"
    assert requested({ours: "a", flux: "b"}) == "a b"
    assert requested({}) is None
    assert len(requested({ours: "x" * 999}) or "") == 256


async def test_a_changed_spec_is_read_at_once_and_nothing_of_the_old_one_is_applied() -> None:
    rig = await synced("sales", "stock", interval="1h")
    rig.hub.gate = asyncio.Event()
    rig.respec(paths=["apps/sales/dataapp.yaml"])
    rig.server.edit(DATAAPP, "stock", lambda app: app.update(spec={"x": 1}))
    rig.server.writes.clear()
    await rig.step()
    assert rig.server.writes == []
    gate, rig.hub.gate = rig.hub.gate, None
    gate.set()
    await rig.settle()
    assert rig.leaving == {"stock"}
    assert rig.status["observedGeneration"] == 2


async def test_suspended_means_nothing_at_all() -> None:
    rig = await synced("sales")
    rig.respec(suspend=True)
    await rig.push(files_of("stock"))
    rig.server.remove(DATAAPP, "sales")
    await rig.settle()
    assert rig.hub.steps == []
    assert rig.apps == {}
    assert (rig.condition()["status"], rig.condition()["reason"]) == ("Unknown", "Suspended")
    assert rig.server.writes == ["status apps"]
    rig.respec(suspend=False)
    await rig.settle()
    assert set(rig.apps) == {"stock"}


async def test_suspending_during_a_look_ends_it() -> None:
    rig = await synced("sales")
    rig.hub.gate = asyncio.Event()
    rig.later()
    await rig.step()
    rig.respec(suspend=True)
    await rig.step()
    await asyncio.sleep(0.01)
    assert rig.operator._reader._desks[KEY].task is None
    assert rig.condition()["reason"] == "Suspended"


def secret(**values):
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git", "namespace": "team"}, "data": data}


async def test_the_secret_is_read_at_every_look_and_a_mended_one_is_used() -> None:
    rig = Rig(secretRef={"name": "git"})
    rig.hub.push(files_of("sales"))
    await rig.settle()
    assert rig.condition("Stalled")["reason"] == "CredentialMissing"
    assert "kubectl -n team create secret generic git" in rig.condition()["message"]
    rig.server.keep(secret(user="x"))
    rig.later()
    await rig.settle()
    assert rig.condition("Stalled")["reason"] == "CredentialMissing"
    assert "kubectl" in rig.condition()["message"]
    rig.server.keep(secret(username="bot", password="s3cret-word"))
    rig.later()
    await rig.settle()
    assert rig.condition()["status"] == "True"
    assert rig.hub.credentials[-1].password == "s3cret-word"
    assert "s3cret-word" not in json.dumps(rig.source)


async def test_a_service_account_without_the_right_gets_nothing_and_the_line_to_mend_it() -> None:
    rig = Rig(serviceAccountName="robot")
    rig.server.denied = {"patch", "delete"}
    rig.hub.push(files_of("sales"))
    await rig.settle()
    assert rig.apps == {}
    assert rig.condition("Stalled")["reason"] == "AccessDenied"
    assert (
        "kubectl -n team create rolebinding apps-edit --clusterrole=dataapp-operator-edit --serviceaccount=team:robot"
        in rig.condition()["message"]
    )
    assert "may not patch and delete dataapps in team" in rig.condition()["message"]
    assert rig.server.reviews[0]["user"] == "system:serviceaccount:team:robot"
    asked = len(rig.server.reviews)
    await rig.settle()
    assert len(rig.server.reviews) == asked
    rig.server.denied = set()
    rig.later(6)  # whoever has given the right does not wait long
    await rig.settle()
    assert rig.condition()["status"] == "True"


async def test_a_spec_that_cannot_be_read_concerns_that_source_only() -> None:
    rig = await synced("sales")
    rig.respec(interval="1x")
    assert await rig.step() == Ok()
    assert rig.condition("Stalled")["reason"] == "InvalidSpec"
    assert "spec.interval" in rig.condition()["message"]
    rig.respec(interval="1m")
    await rig.settle()
    assert rig.condition()["status"] == "True"


async def test_a_status_edited_by_hand_is_mended_from_the_cluster() -> None:
    rig = await synced("sales", "stock")
    rig.server.edit(
        rig_kind := next(k for k, _, n in rig.server.objects if n == "apps"),
        "apps",
        lambda o: o.update(status={"inventory": "?"}),
    )
    assert rig_kind.kind == "AppSource"
    await rig.push(files_of("stock"))
    assert rig.leaving == {"sales"}
    assert rig.condition()["status"] == "True"


async def test_a_source_that_is_gone_leaves_nothing_running() -> None:
    rig = await synced("sales")
    rig.hub.gate = asyncio.Event()
    rig.later()
    await rig.step()
    task = rig.operator._reader._desks[KEY].task
    rig.server.remove(next(k for k, _, n in rig.server.objects if n == "apps"), "apps")
    assert await rig.step() == Ok()
    await asyncio.wait({task})
    assert task.cancelled()
    assert rig.leaving == set()


async def test_another_source_of_the_same_name_begins_anew() -> None:
    rig = await synced("sales")
    rig.source["metadata"]["uid"] = "uid-other"
    rig.server.edit(next(k for k, _, n in rig.server.objects if n == "apps"), "apps", lambda o: o.pop("status"))
    await rig.settle()
    assert rig.hub.steps == ["look", "files", "read", "trees"]
    assert rig.condition()["status"] == "True"


async def test_the_operator_closes_while_it_reads() -> None:
    rig = Rig()
    rig.hub.push(files_of("sales"))
    rig.hub.gate = asyncio.Event()
    await rig.step()
    await asyncio.sleep(0)
    await rig.operator.close()
    assert rig.operator._reader._desks[KEY].task is None


async def test_a_death_between_an_app_and_the_status_is_made_good() -> None:
    rig = Rig()
    rig.hub.push(files_of("sales", "stock"))
    await rig.step()
    rig.server.fault = lambda verb, name: Crash() if (verb, name) == ("after apply", "sales") else None
    with pytest.raises(Crash):
        await rig.step()
    rig.server.fault = lambda _verb, _name: None
    rig.start()
    await rig.push(files_of("stock"))
    assert rig.leaving == {"sales"}


async def test_a_real_repository_is_kept_in_step(tmp_path) -> None:
    server = GitServer(tmp_path)
    repository = server.repository("team/apps.git")
    server.users["team/apps.git"] = "bot:s3cret-word"
    first = repository.commit(files_of("sales", "stock"))

    async def resolve(_host, _port):
        return ["127.0.0.1"]

    hub = Hub(tmp_path / "cache", policy=HostPolicy(allowed=("git.example.test",)), resolve=resolve)
    rig = Rig(hub, url=server.url("team/apps.git"), secretRef={"name": "git"})
    rig.server.keep(secret(**{"username": "bot", "password": "s3cret-word", "ca.crt": server.ca}))
    try:
        await rig.settle()
        assert rig.condition()["reason"] == "Synced", rig.status
        assert {name: rig.commit_of(name) for name in rig.apps} == {"sales": first, "stock": first}
        second = repository.commit({"apps/stock/app.py": b"print(2)"})
        rig.server.writes.clear()
        rig.annotate(requested="r1")
        await rig.settle()
        assert rig.server.writes == ["apply stock", "status apps"]
        assert (rig.commit_of("sales"), rig.commit_of("stock")) == (first, second)
        repository.commit({"apps/stock/app.py": b"print(3)"}, remove=["apps/sales/dataapp.yaml"])
        server.misbehave(503)
        rig.annotate(requested="r2")
        await rig.settle()
        assert rig.condition()["reason"] == "GitUnreachable"
        assert rig.leaving == set()
        server.behave()
        rig.later()
        await asyncio.sleep(0)
        hub._answers.clear()
        await rig.settle()
        assert rig.leaving == {"sales"}
        assert rig.condition()["status"] == "True"
        assert "s3cret-word" not in json.dumps(rig.source)
    finally:
        await rig.operator.close()
        await hub.close()
        server.close()
