"""The pin over HTTPS and inside pages of other sites: its name, what stands behind it, and pins of another time that end."""

import itertools

import pytest

from dataapp_operator.front import settings
from dataapp_operator.plan import names
from tests.unit.front_rig import PIN, check_configuration, front

pytestmark = pytest.mark.must_run

PLAIN, SECURE = "dataapp-sales-production", "__Host-dataapp-sales-production"
KINDS = {
    "plain": f"{PLAIN}={PIN}; Path=/; HttpOnly; SameSite=Lax",
    "secure": f"{SECURE}={PIN}; Path=/; Secure; HttpOnly; SameSite=Lax",
    "embedded": f"{SECURE}={PIN}; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
}


def slot(kind: str) -> dict[str, str]:
    """What a slot of a release with this kind of cookie is told."""
    return {
        "cookie": names.cookie("sales", "production", kind),
        "kind": kind,
        "other": names.other_cookie("sales", "production", kind),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_is_accepted_without_a_warning(kind: str) -> None:
    said = check_configuration(**slot(kind))
    assert said.returncode == 0, said.stderr
    assert "WARNING" not in said.stderr


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_visitor_gets_exactly_one_cookie_of_its_kind(kind: str) -> None:
    async with front(**slot(kind)) as running:
        assert (await running.get("/")).all("Set-Cookie") == [KINDS[kind]]
        name = names.cookie("sales", "production", kind)
        assert (await running.get("/", lines=[f"Cookie: a=b; {name}={PIN}"])).all("Set-Cookie") == []


@pytest.mark.parametrize("kind", ["secure", "embedded"])
def test_what_browsers_ask_of_the_prefix_is_kept(kind: str) -> None:
    """Secure, for the whole host, and for no other: else a browser takes no such cookie at all."""
    parts = settings.COOKIE_ATTRIBUTES[kind].split("; ")
    assert {"Path=/", "Secure"} <= set(parts)
    assert not any(part.startswith("Domain") for part in parts)
    assert ("SameSite=None" in parts) == ("Partitioned" in parts) == (kind == "embedded")


class Jars:
    """A browser on one page of another site: it keeps what is set as partitioned apart, and sends both."""

    def __init__(self, *, knows_partitions: bool = True) -> None:
        self.kept: dict[tuple[str, bool], str] = {}
        self.knows = knows_partitions

    def take(self, lines: list[str]) -> None:
        for line in lines:
            pair, *attributes = line.split("; ")
            name, _, value = pair.partition("=")
            key = (name, self.knows and "Partitioned" in attributes)
            if "Max-Age=0" in attributes:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value

    def lines(self) -> list[str]:
        pairs = [f"{name}={value}" for (name, _), value in self.kept.items()]
        return [f"Cookie: {'; '.join(pairs)}"] if pairs else []


@pytest.mark.asyncio
@pytest.mark.parametrize("knows", [True, False], ids=["with partitions", "without"])
@pytest.mark.parametrize(("before", "now"), list(itertools.permutations(KINDS, 2)))
async def test_who_comes_from_a_release_of_another_kind_has_one_pin_in_the_end(
    before: str, now: str, *, knows: bool
) -> None:
    """Two pins would lead what a page loads now to one release and now to the other."""
    browser = Jars(knows_partitions=knows)
    browser.take([KINDS[before].replace(PIN, "13.0")])
    async with front(**slot(now)) as running:
        browser.take((await running.get("/", lines=browser.lines())).all("Set-Cookie"))
        name = names.cookie("sales", "production", now)
        assert browser.kept == {(name, knows and now == "embedded"): PIN}
        assert (await running.get("/", lines=browser.lines())).all("Set-Cookie") == []


@pytest.mark.asyncio
async def test_the_pin_of_a_former_release_of_the_same_kind_is_replaced() -> None:
    for kind, said in KINDS.items():
        browser = Jars()
        browser.take([said.replace(PIN, "13.0")])
        async with front(**slot(kind)) as running:
            browser.take((await running.get("/", lines=browser.lines())).all("Set-Cookie"))
        assert list(browser.kept.values()) == [PIN]
