"""What a release's metrics say: enough, too little, bad; and what a release does about it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.api.analysis import Metric
from dataapp_operator.api.environmentclass import Prometheus
from dataapp_operator.api.verdict import Verdict
from dataapp_operator.front.settings import WITHIN
from dataapp_operator.plan import analysis
from dataapp_operator.plan.actions import AskPrometheus
from dataapp_operator.plan.facts import CheckFacts, Counts, FrontFacts, Observed, QueryFacts
from dataapp_operator.plan.scene import Scene
from tests.property.cluster import CLASS
from tests.unit.plan_rig import World, at_phase, condition, decide, env, released, replace

PLATFORM = CLASS.model_copy(update={"prometheus": Prometheus(address="http://prometheus.test:9090")})


def metric(**fields: object) -> Metric:
    """A metric of the fronts, unless it is one of Prometheus."""
    usual = {"name": "errors", "failWhen": "> 0.05", "minSamples": 20}
    source = {} if "prometheus" in fields else {"front": "errorRate"}
    return Metric.model_validate(usual | source | fields)


def query(**fields: object) -> Metric:
    """A metric of Prometheus."""
    text = 'sum(rate(errors{app="{{app}}",release="{{release}}"}[1m]))'
    return metric(prometheus={"query": text}, **{"minSamples": 3} | fields)


def baking(*metrics: Metric) -> World:
    """A second release with these metrics that has baked for 20 of its 30 seconds."""
    world = released()
    for environment in world.spec.environments:
        release = environment.release.model_copy(update={"analysis": metrics})
        changed = environment.model_copy(update={"release": release})
        world.spec = world.spec.model_copy(update={"environments": (changed,)})
    if any(m.prometheus for m in metrics):
        world.platform = PLATFORM
    world = at_phase("Baking", world=world)
    world.tick(20)
    return world


def counted(world: World, *looks: tuple[float, Counts]) -> Observed:
    """What is observed when the fronts of the baking release had counted so much, so many seconds ago."""
    pods = [pod.name for pod in world.pods.values() if pod.slot[1] == 2]
    nothing = Counts(within=(0,) * len(WITHIN))
    history = tuple((world.now - timedelta(seconds=ago), counts) for ago, counts in looks)
    quiet = tuple((at, nothing) for at, _ in history)
    fronts = {name: FrontFacts(live=0, quiet_for=0.0, at=world.now, counted=quiet) for name in pods}
    fronts[pods[0]] = replace(fronts[pods[0]], counted=history)
    check = CheckFacts(attempt=9, verdict=Verdict.PASS, finished_at=world.now)
    return replace(world.observe(), fronts=fronts, checks={("env0", 2): check}, classes={"env0": world.platform})


def answered(world: World, **facts: object) -> Observed:
    """What is observed when Prometheus was asked since the bake began, with this to show for it."""
    began = analysis.since(world.status.environment("env0"), world.now)
    answers = {"errors": replace(QueryFacts(since=began), **facts)}
    return replace(counted(world), queries={("env0", 2): answers})


def all_of(answers: int, errors: int = 0, *, slow: int = 0) -> Counts:
    """So many answers, so many of them failures; all but the slow ones began within the first limit."""
    fast = answers - slow
    return Counts(answers, errors, answers, (fast,) * (len(WITHIN) - 1) + (answers,))


def finding(observed: Observed) -> analysis.Finding:
    """What the first metric says."""
    environment = observed.spec.environments[0]
    scene = Scene(observed, environment, observed.classes["env0"], observed.status.environment("env0"), "h.localhost")
    return analysis.findings(scene, 2)[0]


@pytest.mark.parametrize(
    ("looks", "verdict", "why"),
    [
        ([(20, all_of(0)), (0, all_of(19))], Verdict.INCONCLUSIVE, "19 of 20 samples"),
        ([(20, all_of(0)), (0, all_of(20))], Verdict.PASS, "enough, and none bad"),
        ([(20, all_of(0)), (0, all_of(20, 1))], Verdict.PASS, "one in twenty is not more than 5 %"),
        ([(20, all_of(0)), (0, all_of(20, 2))], Verdict.FAIL, "two in twenty are"),
        ([(20, all_of(0)), (0, all_of(19, 19))], Verdict.INCONCLUSIVE, "too few to say, however bad"),
        ([(20, all_of(5000)), (0, all_of(5020, 2))], Verdict.FAIL, "what was before the bake does not count"),
        ([(0, all_of(5000, 5000))], Verdict.INCONCLUSIVE, "one look is no difference"),
        ([(10, all_of(400, 30)), (0, all_of(10))], Verdict.INCONCLUSIVE, "the front began anew, and has counted ten"),
        ([(10, all_of(400, 30)), (0, all_of(40, 9))], Verdict.FAIL, "the front began anew, and was bad since"),
    ],
)
def test_answers_of_the_fronts_are_judged_by_enough_of_them(
    looks: list[tuple[float, Counts]], verdict: Verdict, why: str
) -> None:
    assert finding(counted(baking(metric()), *looks)).verdict is verdict, why


def test_a_release_that_begins_to_fail_is_noticed_while_its_good_answers_still_weigh() -> None:
    world = baking(metric(failWhen="> 0.5"))
    world.tick(200)
    looks = [(200, all_of(0)), (12, all_of(9000)), (0, all_of(9100, 90))]
    found = finding(counted(world, *looks))
    assert (found.verdict, found.measured) == (Verdict.FAIL, "90 % of 100 answers failed in the last 3 s")


@pytest.mark.parametrize(
    ("answers", "errors", "limit", "verdict"),
    [
        (20, 2, "> 0.05", Verdict.PASS),  # one in fifty fails: twice in twenty comes often by chance
        (20, 8, "> 0.05", Verdict.FAIL),
        (20, 15, "> 0.5", Verdict.PASS),
        (20, 20, "> 0.5", Verdict.FAIL),
        (19, 19, "> 0.5", Verdict.PASS),
        (20, 0, "< 0.5", Verdict.PASS),
    ],
)
def test_a_few_seconds_are_bad_only_where_it_cannot_be_chance(
    answers: int, errors: int, limit: str, verdict: Verdict
) -> None:
    world = baking(metric(failWhen=limit))
    world.tick(200)
    good = 0 if limit.startswith(">") else 9000
    looks = [(200, all_of(0)), (3, all_of(9000, good)), (0, all_of(9000 + answers, good + errors))]
    assert finding(counted(world, *looks)).verdict is verdict


@pytest.mark.parametrize(("answers", "verdict"), [(59, Verdict.PASS), (60, Verdict.FAIL)])
def test_a_percentile_of_a_few_seconds_needs_more_of_them(answers: int, verdict: Verdict) -> None:
    world = baking(metric(front="latencyP95", failWhen="> 1"))
    world.tick(200)
    looks = [(200, all_of(0)), (3, all_of(9000)), (0, all_of(9000 + answers, slow=answers))]
    assert finding(counted(world, *looks)).verdict is verdict


@pytest.mark.parametrize(
    ("counts", "limit", "verdict", "words"),
    [
        (all_of(100), "> 0.5", Verdict.PASS, "95 of 100 answers began within 0.095 s (100 answers)"),
        (all_of(100, slow=50), "> 0.5", Verdict.FAIL, "95 of 100 answers began within 9.5 s (100 answers)"),
        (Counts(100, 0, 100, (0,) * len(WITHIN)), "> 0.5", Verdict.FAIL, "95 of 100 answers began within over 10 s"),
        (Counts(100, 100, 0, (0,) * len(WITHIN)), "> 0.5", Verdict.INCONCLUSIVE, "no answer yet"),
    ],
)
def test_the_time_that_answers_take_is_judged_by_its_95th_percentile(
    counts: Counts, limit: str, verdict: Verdict, words: str
) -> None:
    found = finding(counted(baking(metric(front="latencyP95", failWhen=limit)), (20, all_of(0)), (0, counts)))
    assert found.verdict is verdict
    assert found.measured.startswith(words)


@given(st.lists(st.integers(0, 50), min_size=len(WITHIN) + 1, max_size=len(WITHIN) + 1))
def test_the_percentile_lies_where_95_of_100_do(amounts: list[int]) -> None:
    total = sum(amounts)
    upto = tuple(sum(amounts[: place + 1]) for place in range(len(WITHIN)))
    if not total:
        return
    found = analysis._p95(Counts(total, 0, total, upto))
    for limit, count in zip(WITHIN, upto, strict=True):
        assert (found <= limit) == (count >= 0.95 * total) or found == limit


@pytest.mark.parametrize(
    ("facts", "verdict", "why"),
    [
        ({}, Verdict.INCONCLUSIVE, "not asked yet"),
        ({"samples": 2, "value": 0.0}, Verdict.INCONCLUSIVE, "two of three numbers"),
        ({"samples": 3, "value": 0.0}, Verdict.PASS, "three good numbers"),
        ({"samples": 9, "value": 0.9, "failing_in_row": 1}, Verdict.FAIL, "one bad number is enough"),
        ({"samples": 9, "value": 0.0, "trouble": "no answer in time"}, Verdict.ERROR, "it cannot be asked now"),
    ],
)
def test_numbers_of_prometheus_are_judged_one_by_one(facts: dict[str, object], verdict: Verdict, why: str) -> None:
    assert finding(answered(baking(query()), **facts)).verdict is verdict, why


def test_so_many_bad_numbers_in_a_row_as_the_author_allows() -> None:
    world = baking(query(failureLimit=3))
    assert finding(answered(world, samples=9, value=0.9, failing_in_row=2)).verdict is Verdict.INCONCLUSIVE
    assert finding(answered(world, samples=9, value=0.9, failing_in_row=3)).verdict is Verdict.FAIL


def test_what_was_answered_before_the_bake_is_old_news() -> None:
    world = baking(query())
    observed = answered(world, samples=9, value=0.9, failing_in_row=9, since=world.now - timedelta(hours=1))
    assert finding(observed).verdict is Verdict.INCONCLUSIVE


def test_a_bad_metric_takes_the_release_back_and_the_record_says_what_was_measured() -> None:
    world = baking(metric())
    plan = decide(counted(world, (20, all_of(0)), (0, all_of(50, 10))))
    assert env(plan).intent.switch_to == 1
    record = next(r.status for r in plan.records if r.number == 2)
    assert (record.phase, record.reason) == ("RolledBack", "MetricFailed")
    assert record.message == "errors: 20 % of 50 answers failed in the last 3 s (bad is > 0.05)"
    check = next(c for c in record.checks if c.name == "errors")
    assert (check.verdict, check.samples) == ("fail", 50)


def test_a_metric_that_is_only_recorded_takes_nothing_back_and_nothing_waits_for_it() -> None:
    world = baking(metric(dryRun=True))
    world.tick(20)
    plan = decide(counted(world, (20, all_of(0)), (0, all_of(50, 10))))
    assert env(plan).stable == 2
    check = next(c for r in plan.records if r.number == 2 for c in r.status.checks if c.name == "errors")
    assert check.verdict == "fail"
    assert check.expected.endswith("(only recorded)")


@pytest.mark.parametrize(
    ("policy", "after", "outcome"),
    [
        ("hold", 20, "waits"),
        ("hold", 320, "stalled"),
        ("ignore", 20, "released"),
        ("fail", 20, "waits"),
        ("fail", 80, "taken back"),
    ],
)
def test_silence_is_no_success_and_what_it_is_the_author_says(policy: str, after: float, outcome: str) -> None:
    world = baking(metric(onNoData=policy))
    world.tick(after)
    plan = decide(counted(world, (20, all_of(0)), (0, all_of(3))))
    memory = env(plan)
    taken_back = memory.intent is not None and memory.intent.switch_to == 1
    stalled = condition(plan, "Stalled")
    found = "taken back" if taken_back else "released" if memory.stable == 2 else "stalled" if stalled else "waits"
    assert found == outcome
    if outcome in {"waits", "stalled"}:
        words = "until errors says more: 0 % of 3 answers failed (3 of 20 samples)"
        assert words in memory.waiting_for.message


def test_half_of_all_answers_failing_is_bad_whatever_the_author_measures_or_not() -> None:
    assert env(decide(counted(baking(), (20, all_of(0)), (0, all_of(20, 11))))).intent.switch_to == 1
    assert env(decide(counted(baking(), (20, all_of(0)), (0, all_of(20, 10))))).intent is None
    own = baking(metric(failWhen="> 0.9"))
    assert env(decide(counted(own, (20, all_of(0)), (0, all_of(20, 15))))).intent is None, "the author says otherwise"


def test_prometheus_is_asked_with_the_names_filled_in_and_only_while_visitors_come() -> None:
    world = baking(query(interval="5s", onNoData="ignore"))
    (asked,) = [work for work in decide(counted(world)).background if isinstance(work, AskPrometheus)]
    assert (asked.address, asked.number) == ("http://prometheus.test:9090", 2)
    assert asked.questions[0].query == 'sum(rate(errors{app="sales",release="2"}[1m]))'
    assert asked.questions[0].interval == 5
    world.settle()
    assert not any(isinstance(work, AskPrometheus) for work in decide(world.observe()).background)


def test_without_a_prometheus_a_release_that_needs_it_does_not_begin_and_it_is_said_why() -> None:
    world = released()
    environment = world.spec.environments[0]
    release = environment.release.model_copy(update={"analysis": (query(),)})
    world.spec = world.spec.model_copy(update={"environments": (environment.model_copy(update={"release": release}),)})
    world.push(world.spec.image.replace("good-1", "good-2"))
    plan = decide(world.observe())
    assert env(plan).candidate is None
    assert condition(plan, "Stalled").message.startswith("env0: errors: the EnvironmentClass env0 names no Prometheus")
    assert condition(plan, "Ready").status == "True"


@pytest.mark.parametrize(
    ("value", "fail_when", "bad"),
    [
        (1.0, "> 1", False),
        (1.0, ">= 1", True),
        (0.5, "<0.5", False),
        (0.5, "<= 0.5", True),
        (2.0, "> 1.99", True),
    ],
)
def test_comparisons(value: float, fail_when: str, *, bad: bool) -> None:
    assert analysis.fails(value, fail_when) is bad


def test_what_is_no_comparison_is_an_error_and_not_a_pass() -> None:
    with pytest.raises(ValueError, match="about 5"):
        analysis.fails(1.0, "about 5")
