"""Which release may go on to an environment: modes, a person's word, tags, soaking. Pure.

A person promotes with the annotation ``dataapps.dev/promote``: ``production=14`` lets release 14 go on to production;
several are separated by commas. Saying it twice is saying it once, and a number that an environment is already past says
nothing any more. In the first environment, which has no number yet, code is named by its commit (``sandbox=9f2c1d0``) and
an image by the first digits of its digest.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from dataapp_operator.api.apprelease import AppReleaseStatus
from dataapp_operator.api.base import instant, seconds
from dataapp_operator.api.dataapp import PROMOTION_MODES
from dataapp_operator.api.reasons import NOT_RELEASED, Phase
from dataapp_operator.plan.names import ANNOTATION_PROMOTE
from dataapp_operator.plan.scene import Scene

_TOKEN = re.compile(r"^\s*([a-z][a-z0-9]*)\s*=\s*(?:r?([0-9]{1,6})|([0-9a-f]{7,64}))\s*$")
_VERIFIED = {Phase.RELEASED, Phase.DRAINING, Phase.WARM, Phase.RETIRED}


def mode(scene: Scene) -> str:
    """How releases come here: what the author says, unless the class asks for more."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    said = scene.environment.promotion.mode or PROMOTION_MODES[0]
    floor = scene.cls.floor.promotion if scene.cls else PROMOTION_MODES[0]
    return max(said, floor, key=PROMOTION_MODES.index)


def words(annotation: str) -> Mapping[str, str]:
    """By environment, what a person has promoted to it: a number, or a commit or digest. What is no such thing is left out.

    Seven digits or more without a letter could be either; no app has had a million releases, so they are a commit.
    """
    found = {}
    for token in annotation.split(","):
        match = _TOKEN.match(token)
        if match:
            found[match[1]] = match[2] or match[3]
    return found


def retries(scene: Scene) -> int | None:
    """The failed release that a person wants tried once more here."""
    word = words(scene.observed.retry).get(scene.env, "")
    return int(word) if word.isdigit() else None


def number(scene: Scene) -> int | None:
    """The release that a person has promoted here by its number."""
    word = words(scene.observed.promote).get(scene.env, "")
    return int(word) if word.isdigit() and len(word) <= 6 else None  # noqa: PLR2004 - see words()


def names_it(scene: Scene, commit: str | None, image: str) -> bool:
    """Whether a person has promoted this code, or this image, here."""
    word = words(scene.observed.promote).get(scene.env, "")
    if len(word) < 7:  # noqa: PLR2004 - git's own shortest
        return False
    return (commit or "").startswith(word) or image.rpartition("@sha256:")[2].startswith(word)


def command(scene: Scene, what: str) -> str:
    """The line that a person types to promote something here, next to what was promoted elsewhere."""
    others = {env: word for env, word in words(scene.observed.promote).items() if env != scene.env}
    value = ",".join(f"{env}={word}" for env, word in sorted({**others, scene.env: what}.items()))
    return (
        f"kubectl annotate dataapp {scene.app} -n {scene.observed.namespace} --overwrite {ANNOTATION_PROMOTE}={value}"
    )


def verdict(scene: Scene, earlier: str, candidate: int) -> str | None:
    """Why release ``candidate`` of the environment before may not go on; None: it passed there.

    One that is there no longer must have been there for long enough.
    """
    assert scene.environment is not None  # noqa: S101 - the caller looked
    before = scene.observed.status.environment(earlier)
    if before.stable == candidate:
        return None
    record = scene.observed.releases.get((earlier, candidate))
    if record is None:
        return f"there is no release {candidate} in {earlier}"
    phase = record.status.phase
    soak = scene.environment.promotion.soak
    if phase in _VERIFIED and _served_for(record.status) >= seconds(soak):
        return None
    if phase in _VERIFIED:
        return f"r{candidate} was in {earlier} for less than {soak} before another took its place, and does not go on"
    if phase in NOT_RELEASED:
        return f"r{candidate} did not pass in {earlier} ({phase}) and does not go on"
    return f"r{candidate} is still on its way in {earlier}"


def soaked_at(scene: Scene, earlier: str, candidate: int) -> datetime | None:
    """When the environment before will have had a release for long enough; None: it has already."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    before = scene.observed.status.environment(earlier)
    since = before.stable_since or before.phase_since
    if before.stable != candidate or since is None:
        return None  # a newer one has taken its place since: see verdict()
    over = instant(since) + timedelta(seconds=seconds(scene.environment.promotion.soak))
    return over if over > scene.now else None


def _served_for(status: AppReleaseStatus) -> float:
    """For how many seconds a release that serves no longer was released, by its record."""
    began = next((entry.at for entry in status.timeline if entry.phase == Phase.RELEASED), None)
    ended = next((entry.at for entry in reversed(status.timeline) if entry.phase == Phase.DRAINING), None)
    return (instant(ended) - instant(began)).total_seconds() if began and ended else 0.0
