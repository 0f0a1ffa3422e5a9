"""What should run in an environment: the author's wish, a promotion, a pin, or what runs already. Pure.

A wish is an image and a configuration. In the first environment it comes from the manifest and its code, in every other
one from a release that the environment before has proved; an environment's own settings are put on top of either. While
an environment waits (for a person, a tag, a time), it goes on wishing for what it has, so that a change of its own
settings does not wait with it.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import instant
from dataapp_operator.api.dataapp import AppOverride, AppSpec, Environment, Probe, Replicas
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import desired, promotion
from dataapp_operator.plan.facts import Tagged
from dataapp_operator.plan.scene import Scene


@dataclass(frozen=True, slots=True)
class Wish:
    """An image, what the author set for all environments, and where it comes from.

    ``number``: the release number that it has in the environment before, and keeps.
    """

    image: str
    config: AppSpec
    commit: str | None = None
    build: str | None = None
    number: int | None = None

    def here(self, environment: Environment) -> AppSpec:
        """The configuration with an environment's own settings on top."""
        return merged(self.config, environment.app)

    def content(self, environment: Environment) -> tuple[str, str]:
        """(image, config hash) of a release of it in an environment."""
        return self.image, desired.config_hash(self.here(environment))


@dataclass(frozen=True, slots=True)
class Hold:
    """What an environment waits for before it wishes for something newer."""

    reason: Reason
    words: str
    until: datetime | None = None


Answer = tuple[Wish | None, Hold | None]


def merged(app: AppSpec, own: AppOverride) -> AppSpec:
    """The app with an environment's own settings: variables are replaced by name, new ones come last."""
    given = {variable.name: variable for variable in own.env}
    env = tuple(given.pop(variable.name, variable) for variable in app.env) + tuple(given.values())
    update = {
        key: getattr(own, key) for key in ("resources", "replicas", "probe", "embed") if getattr(own, key) is not None
    }
    return app.model_copy(update={"env": env, **update})


def wish_for(scene: Scene, earlier: str | None) -> Answer:
    """What should run here. ``earlier``: the environment that must have a release first."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    if scene.environment.pin is not None:
        return _pinned(scene, scene.environment.pin, earlier)
    return _first(scene) if earlier is None else _promoted(scene, earlier)


def _first(scene: Scene) -> Answer:
    code = scene.code
    if code.image is None:
        return None, Hold(code.reason, code.words)
    wish = Wish(image=code.image, config=code.config, commit=code.commit, build=code.build)
    may, hold = _may_begin(scene, code.commit[:7] if code.commit else code.image.rpartition(":")[2][:12])
    stays = _staying(scene)
    if may or (stays is not None and stays.image == wish.image):
        return wish, None
    # Its settings are the manifest's: only what runs needs a person or a tag.
    return None if stays is None else replace(stays, config=code.config), hold


def _may_begin(scene: Scene, what: str) -> tuple[bool, Hold | None]:
    """Whether what is ready may come to the first environment, and what is waited for otherwise."""
    code = scene.code
    mode = promotion.mode(scene)
    if mode == "auto" or (mode == "manual" and promotion.names_it(scene, code.commit, code.image or "")):
        return True, None
    if mode == "manual":
        return False, Hold(Reason.AWAITING_PROMOTION, _ask(scene, f"{what} is ready", what))
    tag, hold = _tag(scene)
    if tag is None or _is_of(tag, code.commit, code.status.tree if code.status else None):
        return tag is not None, hold
    words = f"tag {tag.name} points at {tag.commit[:7]}; {what} is ready and waits for a tag of its own"
    return False, Hold(Reason.AWAITING_TAG, words)


def _promoted(scene: Scene, earlier: str) -> Answer:
    """Something that the environment before has proved."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    mode = promotion.mode(scene)
    stable = scene.observed.status.environment(earlier).stable
    stays = _staying(scene)
    if stable is None:
        return stays, Hold(Reason.EARLIER_ENVIRONMENT, f"waiting until {earlier} has a release that passed its checks")
    if mode == "auto":
        return _soaking(scene, earlier, stable, stays)
    if mode == "tag":
        number, hold = _tagged(scene, earlier)
    else:
        number, hold = promotion.number(scene), _ask_for(scene, earlier, stable)
    had = {own: _number_in(scene, earlier, own) for env, own in scene.observed.releases if env == scene.env}
    if number is None or number == had.get(scene.memory.stable or 0) or number < max(had.values(), default=0):
        return stays, hold
    refused = promotion.verdict(scene, earlier, number)
    if refused is not None:
        reason = Reason.AWAITING_TAG if mode == "tag" else Reason.AWAITING_PROMOTION
        return stays, Hold(reason, f"{refused}; {hold.words}" if hold and number < stable else refused)
    wish, soaking = _soaking(scene, earlier, number, stays)
    here = desired.content(scene.memory.artefact(scene.memory.stable))
    done = wish is not None and wish.content(scene.environment) == here
    return wish, soaking or (hold if done else None)


def _number_in(scene: Scene, earlier: str, own: int) -> int:
    """The number that a release of here has in the environment before: the same one; or, where only a setting of here
    made another release of it, that of the release there with the same code.
    """
    releases = scene.observed.releases
    mine = _of_record(releases[scene.env, own].spec)
    if (earlier, own) in releases:
        return own
    same = (n for (env, n), r in releases.items() if env == earlier and n < own and _of_record(r.spec) == mine)
    return max(same, default=own)


def _soaking(scene: Scene, earlier: str, number: int, stays: Wish | None) -> Answer:
    """A release that may come, once the environment before has had it for long enough."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    wish = _from_record(scene, earlier, number)
    if wish is None:
        gone = f"the record of the release in {earlier} is gone; the next release goes on"
        return stays, Hold(Reason.EARLIER_ENVIRONMENT, gone)
    over = promotion.soaked_at(scene, earlier, number)
    if over is None or (stays is not None and stays.content(scene.environment) == wish.content(scene.environment)):
        return wish, None
    soak = scene.environment.promotion.soak
    return stays, Hold(Reason.SOAKING, f"r{number} goes on once {earlier} has had it for {soak}", until=over)


def _ask_for(scene: Scene, earlier: str, stable: int) -> Hold | None:
    """What to say while a person has not promoted the newest."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    newest = _from_record(scene, earlier, stable)
    here = desired.content(scene.memory.artefact(scene.memory.stable))
    if newest is None or newest.content(scene.environment) == here:
        return None
    what = f"r{stable}" + (f" ({newest.commit[:7]})" if newest.commit else "")
    return Hold(Reason.AWAITING_PROMOTION, _ask(scene, f"{what} passed in {earlier}", str(stable)))


def _ask(scene: Scene, ready: str, what: str) -> str:
    return f"{ready} and waits for a person to promote it: {promotion.command(scene, what)}"


def _tag(scene: Scene) -> tuple[Tagged | None, Hold | None]:
    """The newest tag that counts here. While nobody knows the tags, whatever was waited for is waited for."""
    assert scene.environment is not None  # noqa: S101 - the caller looked
    pattern, before = scene.environment.promotion.tags, scene.memory.waiting_for
    if scene.observed.spec.image is not None:
        words = "a prebuilt image comes from no repository that could have tags: set promotion.mode to manual or auto"
        return None, Hold(Reason.AWAITING_TAG, words)
    if scene.code.tagged is None and scene.memory.stable is not None and before is None:
        return None, None
    if scene.code.tagged is None and before is not None and before.reason in set(Reason):
        until = instant(before.until) if before.until else None
        return None, Hold(Reason(before.reason), before.message, until=until)
    tag = (scene.code.tagged or {}).get(pattern)
    return tag, None if tag else Hold(Reason.AWAITING_TAG, f"waiting for a tag {pattern!r} in the repository")


def _is_of(tag: Tagged, commit: str | None, tree: str | None) -> bool:
    """Whether a tag points at this code: at its commit, or at another one with the same files."""
    return tag.commit == commit or tag.tree == tree


def _tagged(scene: Scene, earlier: str) -> tuple[int | None, Hold | None]:
    """The release whose code the newest tag points at."""
    tag, hold = _tag(scene)
    if tag is None:
        return None, hold
    trees = {name: build.spec.tree for name, build in scene.observed.builds.items()}
    if scene.code.status is not None:
        trees[scene.code.status.build] = scene.code.status.tree
    tagged = [
        number
        for (env, number), record in scene.observed.releases.items()
        if env == earlier and _is_of(tag, record.spec.commit, trees.get(record.spec.build or ""))
    ]
    if not tagged:
        words = f"tag {tag.name} points at {tag.commit[:7]}, of which {earlier} has no release"
        return None, Hold(Reason.AWAITING_TAG, words)
    return max(tagged), None


def _pinned(scene: Scene, pin: str, earlier: str | None) -> Answer:
    """The release of a commit: what runs here, what was here, or what may come here anyhow. A pin opens no door."""
    stays = _staying(scene)
    if stays is not None and (stays.commit or "").startswith(pin):
        return stays, None
    known = {key: r.spec for key, r in scene.observed.releases.items() if (r.spec.commit or "").startswith(pin)}
    own = [number for env, number in known if env == scene.env]
    if own:
        return _of_record(known[scene.env, max(own)]), None
    if earlier is None:
        wish, hold = _first(scene)
        if wish is not None and (wish.commit or "").startswith(pin):
            return wish, hold
    else:
        there = [n for env, n in known if env == earlier and promotion.verdict(scene, earlier, n) is None]
        if promotion.mode(scene) == "manual":
            there = [n for n in there if n == promotion.number(scene)]
        if there:
            return _soaking(scene, earlier, max(there), stays)
    words = f"pinned to {pin[:12]}, of which there is no release that may come here; what runs here stays"
    return stays, Hold(Reason.PIN_UNKNOWN, words)


def _staying(scene: Scene) -> Wish | None:
    """What runs here now, as a wish."""
    spec = scene.spec(scene.memory.stable)
    return None if spec is None else _of_record(spec)


def _from_record(scene: Scene, env: str, number: int) -> Wish | None:
    """A release of another environment as a wish; without its record only if it is what the author asks for now."""
    record = scene.observed.releases.get((env, number))
    if record is not None:
        return replace(_of_record(record.spec), number=number)
    code = scene.code
    environment = next((e for e in scene.observed.spec.environments if e.name == env), None)
    if code.image is None or environment is None:
        return None
    now = Wish(code.image, code.config, code.commit, code.build, number)
    artefact = scene.observed.status.environment(env).artefact(number)
    return now if now.content(environment) == desired.content(artefact) else None


def _of_record(spec: AppReleaseSpec) -> Wish:
    return Wish(image=spec.image, config=spec.config or _config(spec), commit=spec.commit, build=spec.build)


def _config(spec: AppReleaseSpec) -> AppSpec:
    """What an author must have set, from the record of a release that did not keep it."""
    probe = spec.plan.probe
    return AppSpec(
        framework=probe.framework,
        port=spec.run.port,
        env=spec.run.env,
        resources=spec.run.resources,
        replicas=Replicas(min=spec.plan.slots, sessions_per_replica=spec.plan.sessions_per_replica),
        probe=Probe(startup=probe.startup),
    )
