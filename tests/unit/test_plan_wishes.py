"""What an environment wishes for: its own settings, a first environment, promotions, tags and pins; and what it waits for."""

import pytest

from dataapp_operator.api.dataapp import AppOverride, AppSpec
from dataapp_operator.plan import code, wishes
from dataapp_operator.plan.scene import Scene
from dataapp_operator.plan.wishes import Hold, Wish
from tests.property.code_world import CodeWorld, with_code
from tests.property.world import fresh, image

ASK = "kubectl annotate dataapp sales -n team --overwrite dataapps.dev/promote="
MANUAL = {"promotion": {"mode": "manual"}}
TAGGED = {"promotion": {"mode": "tag", "tags": "v*"}}


def ask(world: CodeWorld, name: str) -> tuple[Wish | None, Hold | None]:
    """What an environment wishes for now."""
    observed = world.observe()
    names = [e.name for e in observed.spec.environments]
    position = names.index(name)
    seen = Scene(
        observed,
        observed.spec.environments[position],
        observed.classes[name],
        observed.status.environment(name),
        "h.test",
        code.consider(observed),
    )
    return wishes.wish_for(seen, names[position - 1] if position else None)


def settled(*environments: dict[str, object], promote: str = "") -> CodeWorld:
    world = with_code(*environments)
    world.annotate(promote)
    world.settle()
    return world


def commit(world: CodeWorld, kind: str = "good") -> str:
    """Another commit comes to its end; its first seven digits."""
    world.commit(kind)
    world.settle()
    return world.head[:7]


APP = AppSpec.model_validate(
    {"framework": "streamlit", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]}
)


@pytest.mark.parametrize(
    ("own", "env"),
    [
        ({}, [("A", "1"), ("B", "$(A)")]),
        ({"env": [{"name": "A", "value": "2"}]}, [("A", "2"), ("B", "$(A)")]),
        ({"env": [{"name": "C", "value": "3"}]}, [("A", "1"), ("B", "$(A)"), ("C", "3")]),
        (
            {"env": [{"name": "C", "value": "3"}, {"name": "B", "value": ""}]},
            [("A", "1"), ("B", ""), ("C", "3")],
        ),
    ],
)
def test_variables_are_replaced_where_they_stand_and_new_ones_come_last(own: dict, env: list[tuple[str, str]]) -> None:
    merged = wishes.merged(APP, AppOverride.model_validate(own))
    assert [(variable.name, variable.value) for variable in merged.env] == env
    assert merged.model_copy(update={"env": APP.env}) == APP


def test_size_replicas_and_patience_are_replaced_as_a_whole_and_only_where_they_are_set() -> None:
    own = AppOverride.model_validate(
        {"resources": {"memory": "2Gi"}, "replicas": {"min": 3}, "probe": {"startup": "1m"}}
    )
    merged = wishes.merged(APP, own)
    assert (merged.resources.memory, merged.resources.cpu, merged.replicas.min) == ("2Gi", "100m", 3)
    assert (merged.probe.startup, merged.env, merged.framework) == ("1m", APP.env, "streamlit")


def test_a_first_environment_takes_what_is_ready() -> None:
    world = settled({})
    wish, hold = ask(world, "env0")
    assert (wish.image, wish.commit, wish.number, hold) == (*world.made, world.head, None, None)


def test_a_first_environment_waits_until_there_is_an_image() -> None:
    world = with_code({})
    assert ask(world, "env0") == (None, Hold("ReadingCode", f"reading the code of {world.head[:7]}"))


def test_a_first_environment_that_a_person_guards_asks_with_the_commit() -> None:
    world = settled(MANUAL)
    what = world.head[:7]
    wish, hold = ask(world, "env0")
    assert (wish, hold.reason) == (None, "AwaitingPromotion")
    assert hold.words == f"{what} is ready and waits for a person to promote it: {ASK}env0={what}"
    world.annotate(f"env0={what}")
    world.settle()
    first = ask(world, "env0")[0]
    second = commit(world)
    wish, hold = ask(world, "env0")
    assert wish == first, "what runs is wished for meanwhile"
    assert hold.words.endswith(f"env0={second}")


def test_a_first_environment_that_a_person_guards_asks_for_an_image_with_its_digest() -> None:
    world = fresh()
    world.floors["env0"] = "manual"
    world.settle()
    wish, hold = ask(world, "env0")
    what = image("good", 1).rpartition(":")[2][:12]
    assert (wish, hold.words) == (None, f"{what} is ready and waits for a person to promote it: {ASK}env0={what}")
    world.annotate(f"env0={what}")
    assert ask(world, "env0")[0].image == image("good", 1)


def test_a_second_environment_waits_for_the_first() -> None:
    world = with_code({}, {})
    assert ask(world, "env1") == (
        None,
        Hold("EarlierEnvironment", "waiting until env0 has a release that passed its checks"),
    )


def test_an_automatic_environment_takes_what_the_one_before_has_with_its_number() -> None:
    world = settled({}, {})
    wish, hold = ask(world, "env1")
    assert (wish.image, wish.commit, wish.number, hold) == (*world.made, world.head, 1, None)


def test_a_guarded_environment_asks_with_the_number_and_says_nothing_once_it_has_it() -> None:
    world = settled({}, MANUAL)
    what = world.head[:7]
    _, hold = ask(world, "env1")
    assert hold.words == f"r1 ({what}) passed in env0 and waits for a person to promote it: {ASK}env1=1"
    world.annotate("env1=1")
    wish, hold = ask(world, "env1")
    assert (wish.number, hold) == (1, None)
    world.settle()
    assert ask(world, "env1")[1] is None
    second = commit(world)
    wish, hold = ask(world, "env1")
    assert (wish.number, wish.commit[:7]) == (None, what), "it stays"
    assert hold.words == f"r2 ({second}) passed in env0 and waits for a person to promote it: {ASK}env1=2"


@pytest.mark.parametrize(
    ("promote", "words"),
    [
        ("env1=9", "there is no release 9 in env0"),
        ("env1=2", "r2 did not pass in env0 (Failed) and does not go on; r3 ({newest}) passed in env0 and waits for a"),
        ("env0=1", "r3 ({newest}) passed in env0 and waits for a person to promote it: {ask}env0=1,env1=3"),
        ("env1=latest", "r3 ({newest}) passed in env0 and waits for a person to promote it: {ask}env1=3"),
    ],
)
def test_what_a_guarded_environment_says_to_a_word_that_promotes_nothing(promote: str, words: str) -> None:
    world = settled({}, MANUAL)
    commit(world, "session")
    newest = commit(world)
    world.annotate(promote)
    wish, hold = ask(world, "env1")
    assert (wish, hold.reason) == (None, "AwaitingPromotion")
    assert hold.words.startswith(words.format(newest=newest, ask=ASK))


def test_an_earlier_release_can_still_be_promoted_and_an_old_word_brings_nothing_back() -> None:
    world = settled({}, MANUAL)
    first = world.head
    commit(world)
    world.annotate("env1=1")
    assert ask(world, "env1")[0].commit == first
    world.annotate("env1=2")
    world.settle()
    world.annotate("env1=1")
    wish, hold = ask(world, "env1")
    assert (wish.commit, hold) == (world.head, None)


def test_soaking_says_until_when() -> None:
    world = with_code({}, {"promotion": {"soak": "10m"}})
    while world.status.environment("env0").stable is None:
        world.reconcile()
        world.tick(1)
    wish, hold = ask(world, "env1")
    assert (wish, hold.reason) == (None, "Soaking")
    assert hold.words == "r1 goes on once env0 has had it for 10m"
    assert (hold.until - world.serving["env0"][1]).total_seconds() == 600


def test_what_is_said_of_tags() -> None:
    world = settled({}, TAGGED)
    first = world.head[:7]
    assert ask(world, "env1") == (None, Hold("AwaitingTag", "waiting for a tag 'v*' in the repository"))
    world.tags["v1"] = broken = world.commit("nobuild").sha
    world.settle()
    words = f"tag v1 points at {broken[:7]}, of which env0 has no release"
    assert ask(world, "env1") == (None, Hold("AwaitingTag", words))
    world.tags["v2"] = next(iter(world.commits))
    world.settle()
    assert ask(world, "env1")[0].commit[:7] == first


def test_while_nobody_knows_the_tags_whatever_was_said_is_said() -> None:
    for tags in ({}, {"v1": ""}):
        world = with_code({}, TAGGED)
        world.tags = dict.fromkeys(tags, world.head)
        world.settle()
        before = ask(world, "env1")[1]
        world.die()
        assert ask(world, "env1")[1] == before


def test_a_tag_in_a_first_environment_is_obeyed_too() -> None:
    world = settled(TAGGED)
    first = world.head
    assert ask(world, "env0") == (None, Hold("AwaitingTag", "waiting for a tag 'v*' in the repository"))
    world.tags["v1"] = first
    world.settle()
    second = commit(world)
    wish, hold = ask(world, "env0")
    assert wish.commit == first
    assert hold.words == f"tag v1 points at {first[:7]}; {second} is ready and waits for a tag of its own"


def test_a_prebuilt_image_has_no_tags_and_that_is_said() -> None:
    world = fresh(environments=2)
    way = world.spec.environments[1].promotion.model_copy(update={"mode": "tag"})
    tagged = world.spec.environments[1].model_copy(update={"promotion": way})
    world.spec = world.spec.model_copy(update={"environments": (world.spec.environments[0], tagged)})
    world.settle()
    words = "a prebuilt image comes from no repository that could have tags: set promotion.mode to manual or auto"
    assert ask(world, "env1") == (None, Hold("AwaitingTag", words))


def test_a_pin_stays_comes_back_or_waits() -> None:
    world = settled({}, {})
    first = world.head
    commit(world)
    world.rewrite("env1", pin=world.head[:7])
    assert ask(world, "env1")[0].commit == world.head
    world.rewrite("env1", pin=first[:7])
    wish, hold = ask(world, "env1")
    assert (wish.commit, wish.number, hold) == (first, None, None)
    world.rewrite("env1", pin="0123456789abcdef")
    wish, hold = ask(world, "env1")
    assert (wish.commit, hold.reason) == (world.head, "PinUnknown")
    assert hold.words == "pinned to 0123456789ab, of which there is no release that may come here; what runs here stays"


def test_a_pinned_first_environment_takes_its_commit_when_it_is_ready() -> None:
    world = with_code({"pin": "0123456789"})
    world.rewrite("env0", pin=world.head)
    world.settle()
    assert ask(world, "env0")[0].commit == world.head
    world.commit()
    world.settle()
    assert ask(world, "env0")[0].commit != world.head


def test_only_an_own_setting_is_put_on_what_an_environment_stays_with() -> None:
    world = settled({}, MANUAL, promote="env1=1")
    commit(world)
    world.override("env1", "loud")
    wish, hold = ask(world, "env1")
    environment = world.spec.environments[1]
    assert [(v.name, v.value) for v in wish.here(environment).env] == [("LEVEL", "loud")]
    assert (wish.config.env, hold.reason) == ((), "AwaitingPromotion")
