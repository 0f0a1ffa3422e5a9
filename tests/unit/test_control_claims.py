"""Who has a host: the first claim wins, the second is told who holds it."""

from typing import Any

from dataapp_operator.control.claims import HostClaims

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
