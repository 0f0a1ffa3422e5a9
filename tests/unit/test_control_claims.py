"""Who has a host: the first claim wins, the second is told who holds it."""

from typing import Any

import pytest

from dataapp_operator.control.claims import HostClaims
from dataapp_operator.kube.kinds import DATAAPP
from tests.unit.control_rig import APP, Control, dataapp

HOST = "sales.example.org"
ONE, TWO = ("team", "one"), ("team", "two")


def app(*hosts: str, born: str = "2026-11-22T10:00:00Z") -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": born},
        "status": {"environments": [{"name": f"env{i}", "host": host} for i, host in enumerate(hosts)]},
    }


def test_a_free_host_has_no_holder() -> None:
    assert HostClaims().holder(ONE, HOST) is None


def test_a_held_host_is_held_against_others_only() -> None:
    claims = HostClaims()
    claims.update(ONE, app("a.example.org", HOST))
    assert claims.holder(ONE, HOST) is None
    assert claims.holder(TWO, HOST) == "app 'one' in namespace 'team' (env1)"


def test_a_claim_ends_with_its_app_or_with_its_wish() -> None:
    claims = HostClaims()
    claims.update(ONE, app(HOST))
    claims.update(ONE, app("b.example.org"))
    assert claims.holder(TWO, HOST) is None
    claims.update(ONE, None)
    assert claims.holder(TWO, "b.example.org") is None
    claims.update(ONE, None)


def test_of_two_that_claimed_in_the_same_moment_the_older_app_has_it() -> None:
    claims = HostClaims()
    claims.update(ONE, app(HOST, born="2026-11-22T10:00:01Z"))
    claims.update(TWO, app(HOST, born="2026-11-22T10:00:00Z"))
    assert claims.holder(TWO, HOST) is None
    assert claims.holder(ONE, HOST) == "app 'two' in namespace 'team' (env0)"


def test_two_of_the_same_age_agree_on_one() -> None:
    claims = HostClaims()
    claims.update(ONE, app(HOST))
    claims.update(TWO, app(HOST))
    assert [claims.holder(a, HOST) is None for a in (ONE, TWO)] == [True, False]


def test_an_app_without_status_claims_nothing() -> None:
    claims = HostClaims()
    claims.update(ONE, {"metadata": {}})
    assert claims.holder(TWO, HOST) is None


def test_of_two_apps_of_one_name_the_older_one_has_the_preview_hosts() -> None:
    claims = HostClaims()
    claims.update(ONE, app(born="2026-11-22T10:00:00Z"))
    claims.update(TWO, app(born="2026-11-22T11:00:00Z"))
    hosts = "one--r*--prod.example.org"
    claims.claim_previews(TWO, [hosts])
    assert claims.previewer(TWO, hosts) is None
    claims.claim_previews(ONE, [hosts])
    assert claims.previewer(ONE, hosts) is None
    assert claims.previewer(TWO, hosts) == "app 'one' in namespace 'team'"
    claims.claim_previews(ONE, ["one--r*--prod--team.example.org"])
    assert claims.previewer(TWO, hosts) is None, "its class says now where else"
    claims.claim_previews(ONE, [hosts])
    claims.update(ONE, None)
    assert claims.previewer(TWO, hosts) is None


@pytest.mark.asyncio
async def test_an_app_of_the_same_name_in_another_namespace_is_told_whose_previews_they_are() -> None:
    elder = dataapp()
    younger = dataapp(spec=elder["spec"] | {"environments": [{"name": "sandbox", "host": "other.example.org"}]})
    elder["metadata"]["creationTimestamp"] = "2026-11-22T10:00:00Z"
    younger["metadata"] |= {"namespace": "others", "uid": "uid-other", "creationTimestamp": "2026-12-24T10:00:00Z"}
    control = Control(elder, younger)
    for app in (APP, ("others", APP[1])):
        control.claims.update(app, control.store.get(DATAAPP, *app))
        await control.reconciler.reconcile(app)
    assert "Stalled" not in {c["type"] for c in control.status()["conditions"]}
    (stalled,) = (
        c for c in control.cluster.objects[DATAAPP, "others", APP[1]]["status"]["conditions"] if c["type"] == "Stalled"
    )
    assert stalled["reason"] == "HostTaken"
    assert f"belong to app '{APP[1]}' in namespace '{APP[0]}' already" in stalled["message"]
