"""From an app's code to an image, row by row: what is known, what is asked, what is built, and what is said meanwhile."""

from dataclasses import replace

import pytest

from dataapp_operator.api.appbuild import AppBuildStatus
from dataapp_operator.api.code import Dependencies
from dataapp_operator.api.dataapp import BuildOptions
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import code
from dataapp_operator.plan.actions import CreateBuild
from dataapp_operator.plan.facts import CodeFacts, Observed, Tagged
from tests.property.code_world import CodeWorld, sha, with_code

DOWN = (Reason.GIT_UNREACHABLE, "git.example.org does not answer")
TWO = (Reason.AMBIGUOUS, "app.py and main.py could both be the app; set spec.build.entrypoint")
IMAGE = "registry.example.org/sales@sha256:" + "a" * 64


def fresh(*, by_source: bool = True) -> Observed:
    """Nobody has read the code yet."""
    return with_code(by_source=by_source).observe()


def read(observed: Observed | None = None, *, floating: bool = False, **changes: object) -> Observed:
    """The code was read a moment ago."""
    observed = observed or fresh()
    (question,) = code.consider(observed).background
    world = with_code(by_source=observed.origin.commit is not None)
    if floating:
        world.commits[world.head] = replace(world.commits[world.head], floating=True)
    world.reading = question
    world._look()
    return replace(observed, code=replace(world.code, **changes))


def remembered(observed: Observed) -> Observed:
    """What was decided is persisted."""
    return replace(observed, status=observed.status.model_copy(update={"code": code.consider(observed).status}))


def building(observed: Observed | None = None, **status: object) -> Observed:
    """Its build exists and is as far as that."""
    observed = remembered(observed or read())
    world = CodeWorld(spec=observed.spec)
    world.commits[observed.code.commit] = with_code().commits[observed.code.commit]
    (action,) = code.consider(observed).actions
    world._act(action)
    (name,) = world.builds
    world.builds[name].status = AppBuildStatus.model_validate(status)
    world.chosen = world.head = observed.code.commit
    return replace(observed, builds=world.observe().builds)


def built(**more: object) -> Observed:
    """Its image is there, and remembered."""
    return remembered(building(phase="Succeeded", image=IMAGE, **more))


def test_an_image_needs_no_code_and_asks_nobody() -> None:
    spec = fresh().spec.model_validate({"image": IMAGE, "app": {"framework": "streamlit"}})
    view = code.consider(replace(fresh(), spec=spec, requested="now"))
    assert (view.image, view.commit, view.status, view.background, view.answered) == (IMAGE, None, None, (), "now")


def test_an_image_that_does_not_say_its_framework_waits_for_a_person() -> None:
    view = code.consider(replace(fresh(), spec=fresh().spec.model_copy(update={"image": IMAGE})))
    assert (view.image, view.reason, view.stalled) == (None, "InvalidSpec", True)
    assert view.words == (
        "an image does not say what it is written with, and a real session is opened differently for each: set"
        " spec.app.framework"
    )


def test_an_app_of_which_nobody_says_where_its_code_is_waits_for_a_person() -> None:
    view = code.consider(replace(built(), origin=None))
    assert (view.image, view.reason, view.stalled, view.background) == (None, "SourceMissing", True, ())
    assert view.words == (
        "the app has neither an image nor code: set spec.image, or spec.source to the repository with its code, or put"
        " the manifest beside the code in a repository that an AppSource reads"
    )
    assert view.status == built().status.code, "what is known is kept"
    told = code.consider(replace(fresh(), origin=None, origin_trouble=(Reason.SOURCE_MISSING, "the AppSource is gone")))
    assert told.words == "the AppSource is gone"


def test_unknown_code_is_read_and_that_is_said() -> None:
    observed = fresh()
    view = code.consider(observed)
    (question,) = view.background
    assert (question.origin, question.interval, question.request) == (observed.origin, None, None)
    assert (view.image, view.stalled, view.actions) == (None, False, ())
    assert view.words == f"reading the code of {observed.origin.commit[:7]}"
    polling = code.consider(fresh(by_source=False))
    assert (polling.words, polling.background[0].interval) == ("reading the code", 60.0)


def test_an_answer_to_another_question_is_no_answer() -> None:
    observed = read()
    asked_since = replace(observed, spec=observed.spec.model_copy(update={"build": BuildOptions(entrypoint="main.py")}))
    assert code.consider(asked_since).reason == "ReadingCode"
    (question,) = code.consider(asked_since).background
    assert (question.entrypoint, question.key != observed.code.key) == ("main.py", True)


def test_code_that_was_read_is_built_once_under_a_name_made_of_what_goes_into_it() -> None:
    observed = read()
    view = code.consider(observed)
    (create,) = view.actions
    assert isinstance(create, CreateBuild)
    metadata, spec = create.manifest["metadata"], create.manifest["spec"]
    assert metadata["name"] == view.status.build == view.build
    assert metadata["ownerReferences"][0]["uid"] == observed.uid
    assert (spec["tree"], spec["recipe"], spec["base"]) == (
        observed.code.tree,
        "streamlit/1",
        observed.platform.bases["python"],
    )
    assert "asOf" not in spec
    assert spec["source"] == {
        "url": observed.origin.url,
        "path": "apps/sales",
        "include": [],
        "manifest": "apps/sales/dataapp.yaml",
    }
    assert (view.image, view.reason, view.words) == (None, "Building", f"{view.commit[:7]} is being built")
    assert code.consider(building(phase="Pending")).actions == ()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"commit": "f" * 40, "revision": "main@sha1:" + "f" * 40}, True),
        ({"committed_at": "2027-01-01T00:00:00Z"}, True),
        ({"tree": "f" * 40}, False),
    ],
)
def test_what_a_build_is_named_after(change: dict[str, str], same: bool) -> None:  # noqa: FBT001
    assert (code.consider(read(**change)).build == code.consider(read()).build) is same


@pytest.mark.parametrize(
    ("status", "reason", "stalled", "words"),
    [
        ({}, "Building", False, "0f98b1f is waiting to be built"),
        (
            {"phase": "Pending", "message": "2 other builds run; it begins after them"},
            "Building",
            False,
            "2 other builds",
        ),
        ({"phase": "Running"}, "Building", False, "0f98b1f is being built"),
        (
            {"phase": "Failed", "reason": "PackageNotFound", "message": "there is no package nopandas==1.0"},
            "PackageNotFound",
            True,
            (
                "0f98b1f cannot be built: there is no package nopandas==1.0. `kubectl describe appbuild {build}` shows the last"
                " lines of its log"
            ),
        ),
        (
            {"phase": "Failed", "reason": "SomethingNew"},
            "BuildFailed",
            True,
            "0f98b1f cannot be built: no reason was told. `kubectl describe appbuild {build}` shows the last lines of its log",
        ),
    ],
)
def test_what_is_said_of_a_build(status: dict[str, object], reason: str, stalled: bool, words: str) -> None:  # noqa: FBT001
    view = code.consider(building(**status))
    assert (view.image, view.reason, view.stalled, view.actions) == (None, reason, stalled, ())
    assert view.words.startswith(words.format(build=view.build))


def test_an_image_that_was_built_is_remembered_and_its_build_may_go() -> None:
    view = code.consider(building(phase="Succeeded", image=IMAGE))
    assert (view.image, view.status.image, view.config.framework) == (IMAGE, IMAGE, "streamlit")
    later = code.consider(replace(built(), builds={}, code=None))
    assert (later.image, later.actions, later.background) == (IMAGE, (), ())


def test_a_build_that_was_deleted_before_its_end_is_made_again() -> None:
    known = replace(building(phase="Failed"), builds={})
    (create,) = code.consider(known).actions
    assert create.manifest["metadata"]["name"] == known.status.code.build
    forgotten = code.consider(replace(known, code=None))
    assert (forgotten.actions, forgotten.reason, len(forgotten.background)) == ((), "ReadingCode", 1)


@pytest.mark.parametrize("by_source", [True, False])
def test_a_git_server_that_is_down_takes_nothing_from_known_code(by_source: bool) -> None:  # noqa: FBT001
    observed = remembered(read(fresh(by_source=by_source)))
    status = observed.status.code.model_copy(update={"image": IMAGE})
    observed = replace(observed, status=observed.status.model_copy(update={"code": status}))
    down = replace(observed, code=CodeFacts(key=observed.code.key, trouble=DOWN, transient=True))
    for seen in (down, replace(observed, code=None)):
        view = code.consider(seen)
        assert (view.image, view.status, view.stalled, view.actions) == (IMAGE, status, False, ())
        assert view.tagged is None, "nobody knows the tags"


def test_a_git_server_that_is_down_is_waited_for_before_anything_is_known() -> None:
    observed = read()
    view = code.consider(replace(observed, code=CodeFacts(key=observed.code.key, trouble=DOWN, transient=True)))
    assert (view.image, view.reason, view.stalled, len(view.background)) == (None, "GitUnreachable", False, 1)
    assert view.words == "git.example.org does not answer"


def test_code_that_nobody_can_tell_waits_for_a_person_and_forgets_nothing() -> None:
    observed = replace(built(), code=CodeFacts(key=read().code.key, trouble=TWO))
    view = code.consider(observed)
    assert (view.image, view.reason, view.stalled) == (None, "Ambiguous", True)
    assert view.words == "app.py and main.py could both be the app; set spec.build.entrypoint"
    assert view.status == observed.status.code


@pytest.mark.parametrize("day", ["2026-11-23T00:00:00Z", "2027-01-01T00:00:00Z"])
def test_floating_dependencies_are_of_the_day_of_the_commit_and_untouched_files_are_not_built_again(day: str) -> None:
    observed = read(floating=True)
    (create,) = code.consider(observed).actions
    assert create.manifest["spec"]["asOf"] == observed.code.committed_at == "2026-11-22T10:00:00Z"
    known = remembered(building(observed, phase="Succeeded", image=IMAGE))
    touched = replace(known, code=replace(known.code, commit="f" * 40, committed_at=day))
    view = code.consider(touched)
    assert (view.image, view.actions, view.status) == (IMAGE, (), known.status.code)
    other = code.consider(replace(touched, code=replace(touched.code, tree="e" * 40)))
    assert other.actions[0].manifest["spec"]["asOf"] == day


@pytest.mark.parametrize(("trust", "dated"), [("locked", False), ("none", False), ("pinned", True), ("floating", True)])
def test_only_packages_that_are_not_all_fixed_have_a_day(trust: str, dated: bool) -> None:  # noqa: FBT001
    finding = replace(read().code.finding, dependencies=Dependencies(trust=trust))
    (create,) = code.consider(read(finding=finding)).actions
    assert ("asOf" in create.manifest["spec"]) is dated


def test_other_code_with_the_same_file_of_packages_takes_the_packages_of_the_same_day() -> None:
    observed = read(floating=True)
    finding = replace(
        observed.code.finding, dependencies=Dependencies(trust="floating", source="requirements.txt", digest="d1")
    )
    observed = replace(observed, code=replace(observed.code, finding=finding))
    known = building(observed, phase="Succeeded", image=IMAGE)
    later = replace(known.code, tree="e" * 40, commit="f" * 40, committed_at="2027-01-01T00:00:00Z")
    (create,) = code.consider(replace(known, code=later)).actions
    assert create.manifest["spec"]["asOf"] == "2026-11-22T10:00:00Z"
    other = replace(finding, dependencies=finding.dependencies.model_copy(update={"digest": "d2"}))
    (create,) = code.consider(replace(known, code=replace(later, finding=other))).actions
    assert create.manifest["spec"]["asOf"] == "2027-01-01T00:00:00Z"


def test_an_own_dockerfile_has_no_base_of_ours() -> None:
    finding = replace(read().code.finding, dockerfile="Dockerfile")
    assert code.consider(read(finding=finding)).actions[0].manifest["spec"]["base"] == ""


def test_without_builds_a_person_must_bring_an_image_but_one_that_is_built_serves_on() -> None:
    off = replace(read(), platform=replace(read().platform, builds=False))
    view = code.consider(off)
    assert (view.image, view.reason, view.stalled, view.actions) == (None, "BuildsDisabled", True, ())
    assert view.words == (
        "building is switched off in this cluster, so code cannot become an image. Set spec.image to one that was built"
        " elsewhere, or ask the platform team to switch builds on"
    )
    assert code.consider(replace(built(), platform=off.platform)).image == IMAGE


def test_a_new_base_image_of_the_platform_is_a_new_build() -> None:
    known = built()
    platform = replace(known.platform, bases={"python": "base/python@sha256:" + "c" * 64})
    renewed = replace(known, platform=platform)
    assert code.consider(renewed).reason == "ReadingCode"
    view = code.consider(read(renewed))
    assert view.image is None
    assert view.actions[0].manifest["spec"]["base"] == platform.bases["python"]
    assert view.build != known.status.code.build


@pytest.mark.parametrize("by_source", [True, False])
def test_a_wish_to_look_now_is_answered_by_a_look(by_source: bool) -> None:  # noqa: FBT001
    known = remembered(read(fresh(by_source=by_source)))
    wished = replace(known, requested="today")
    view = code.consider(wished)
    if by_source:
        assert (view.answered, view.background) == ("today", ()), "the AppSource looks for new commits"
        return
    assert (view.answered, view.background[0].request) == (None, "today")
    looked = replace(wished, code=replace(wished.code, request="today"))
    assert code.consider(looked).answered == "today"
    answered = replace(looked, status=looked.status.model_copy(update={"last_handled_reconcile_at": "today"}))
    assert code.consider(answered).background[0].request is None


def test_tags_are_looked_for_only_where_an_environment_wants_them() -> None:
    world = with_code({}, {"promotion": {"mode": "tag", "tags": "v*"}})
    (question,) = code.consider(world.observe()).background
    assert (question.tags, question.interval) == (("v*",), 60.0)
    tag = Tagged("v1", sha("x"), sha("y"))
    observed = replace(world.observe(), code=read(world.observe(), tagged={"v*": tag}).code)
    assert code.consider(observed).tagged == {"v*": tag}
