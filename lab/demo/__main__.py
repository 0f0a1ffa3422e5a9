"""The story: two teams, from `git push` to a page. A surprise ends it with exit 1.

A Python team and an R team make the same four commits. The first is an app and three lines: it is recognised, built,
checked by a real session and released. The second is released while somebody has the app open, who keeps their version.
The third answers 200 and cannot run: it reaches nobody. The fourth passes every check and fails after the switch: it is
taken back. Then a person promotes what was tested. The R team's fifth comes in steps: what share of the new visitors really gets
it is counted, and a person ends the second step. The Python team goes back to its first version, and two apps end
without anybody losing their session.
"""

import sys
from pathlib import Path

from lab.context import Lab
from lab.demo.broken import broken, not_built
from lab.demo.change import change
from lab.demo.first import first, shorter_times
from lab.demo.in_steps import in_steps
from lab.demo.leaving import deleted, manifest_gone
from lab.demo.let_in import prepare
from lab.demo.production import back_again, overview, promote
from lab.demo.rollback import taken_back
from lab.demo.stage import Stage, SurpriseError
from lab.demo.teams import teams
from tests.harness.cluster import OUT, Kube
from tests.harness.failures import UserNoticed
from tests.harness.gitrepo import GitServer

SCENES = (
    prepare, first, shorter_times, change, broken, not_built, taken_back, promote, overview, in_steps, back_again,
    manifest_gone, deleted,
)  # fmt: skip


def main() -> int:
    """Tell the story. Returns the exit code."""
    lab = Lab.here()
    if not (OUT / "git.json").exists():
        print("The demo begins with a commit and needs the lab's own git server: run it with LAB=native.")
        return 1
    print((__doc__ or "").partition("\n\n")[2], end="")
    stage = Stage(Kube(str(lab.binary("kubectl")), Path(OUT / "kubeconfig")))
    both = teams(GitServer.of_lab())
    try:
        for scene in SCENES:
            scene(stage, both)
    except (SurpriseError, UserNoticed, AssertionError) as error:
        stage.say(f"✘ {error}")
        print("The demo stopped here. `make lab-status` says where the logs are.")
        return 1
    finally:
        for team in both:
            team.repo.close()
    stage.title("the seconds, measured")
    stage.show_figures()
    stage.say("that was all of it. The cluster stays up:")
    stage.say("open http://penguins.localhost:8088/ in a browser of this machine")
    stage.say("`python3 -m lab git antarctica apps` says how to clone and push to its repository yourself")
    stage.say("`make lab-down` removes all of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
