"""The third commit: a break that HTTP does not see. And one that cannot even be built. Neither reaches anybody."""

from concurrent.futures import ThreadPoolExecutor

from lab.demo.stage import Stage, release_at, until
from lab.demo.teams import Team
from tests.harness.cluster import Json, condition

_NO_SUCH_PACKAGE = "streamlit==1.67.0\nstreamlitt-extras-of-mine==1.0\n"


def broken(stage: Stage, both: tuple[Team, ...]) -> None:
    """The server starts and answers; only a session shows that the app cannot run."""
    stage.title("commit 3: a break that HTTP does not see")
    for team in both:
        commit = team.push(team.third(), "a slip of the hand")
        stage.say(f"{team.name}: git push of {commit[:7]}")
        team.look_now(stage)
    with ThreadPoolExecutor() as watchers:
        for team, (record, pages) in zip(both, watchers.map(lambda team: _fails(stage, team), both), strict=True):
            if pages:  # it is there for a second or two, and we may have looked in between
                stage.say(f"{team.app}: GET / of r3's preview is answered with 200")
            stage.expect(
                record["reason"] == "SessionFailed", f"{team.app}: r3 was never released: {record['message']!r}"
            )
            seen = release_at(team.host)
            stage.expect(seen == "2", f"{team.app}: a new visitor still gets release {seen}")


def _fails(stage: Stage, team: Team) -> tuple[Json, int]:
    """What the record of r3 says once it has failed, and how often its page was answered before."""
    pages = 0
    with ThreadPoolExecutor() as waiter:
        failed = waiter.submit(stage.record, team.app, 3, "Failed")

        def done() -> bool:
            nonlocal pages
            pages += release_at(team.preview(3)) == "3"
            return failed.done()

        until(done, timeout=330, what=f"{team.app} r3 is Failed")
        return failed.result()["status"], pages


def not_built(stage: Stage, both: tuple[Team, ...]) -> None:
    """A package that does not exist: the build says so in a sentence, and the app goes on as it was."""
    stage.title("in between: a package that does not exist")
    team = both[0]
    team.push({f"{team.app}/requirements.txt": _NO_SUCH_PACKAGE}, "a package")
    team.look_now(stage)
    app = stage.wait(
        "dataapp",
        team.app,
        lambda found: condition(found, "Built").get("reason") == "PackageNotFound",
        what="the build fails for its package",
    )
    stage.expect(True, f"{team.app}: {condition(app, 'Built')['message']!r}")
    stage.expect(condition(app, "Ready")["status"] == "True", f"{team.app}: Ready is {stage.ready(team.app)}")
