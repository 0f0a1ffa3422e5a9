"""What is promised about the way through the environments, checked when a release is created and when an app is deleted.

The modes, floors, soaks and pins are read here once more from what people wrote, without a line of the operator's own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from dataapp_operator.api.apprelease import AppReleaseSpec
from dataapp_operator.api.base import seconds
from dataapp_operator.api.dataapp import Environment
from dataapp_operator.api.status import DataAppStatus
from tests.property.cluster import Cluster, Violation

STRICTNESS = {None: 0, "auto": 0, "tag": 1, "manual": 2}


@dataclass
class Promises(Cluster):
    """What must hold of every new release, whoever asked for it, and of the end of an app."""

    said: set[tuple[str, str]] = field(default_factory=set)
    """Everything that a person has ever promoted: (environment, word)."""
    served: dict[tuple[str, str], float] = field(default_factory=dict)
    """(environment, image): for how many seconds it was the stable one there, until it last ceased to be."""
    serving: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """By environment: the stable image, and since when."""

    def annotate(self, value: str) -> None:
        """A person promotes: the annotation is replaced."""
        self.promote = value
        self.said |= {(env, word) for env, word in re.findall(r"([a-z0-9]+)=r?([0-9a-f]+)", value)}

    def strictness(self, environment: Environment) -> int:
        """How strictly releases come here: what the author says, and what the class asks for at the least."""
        return max(STRICTNESS[environment.promotion.mode], STRICTNESS[self.floors.get(environment.of_class)])

    def _check_new_release(self, new: AppReleaseSpec) -> None:
        if self.leaving is not None:
            raise Violation(f"r{new.number} is begun in {new.environment}, and the app is leaving")
        position = [e.name for e in self.spec.environments].index(new.environment)
        environment = self.spec.environments[position]
        runs_here = self.serving.get(new.environment, ("", self.now))[0]
        if new.image == runs_here:
            return  # its settings changed: nobody need be asked, nothing need be proved elsewhere
        if environment.pin is not None and not self._is_of(new, environment.pin):
            raise Violation(f"{environment.name} is pinned to {environment.pin}, and r{new.number} is of {new.commit}")
        had = (environment.name, new.image) in self.served
        if environment.pin is not None and had:
            return  # brought back
        earlier = self.spec.environments[position - 1].name if position else None
        if earlier is not None:
            self._check_proved(new, earlier, seconds(environment.promotion.soak))
        if self.strictness(environment) == STRICTNESS["manual"]:
            self._check_named(new, earlier)

    def _is_of(self, new: AppReleaseSpec, pin: str) -> bool:
        return (new.commit or "").startswith(pin)

    def _check_proved(self, new: AppReleaseSpec, earlier: str, soak: float) -> None:
        """Byte for byte what the environment before had as its stable release, for long enough."""
        image, since = self.serving.get(earlier, ("", self.now))
        lasted = self.served.get((earlier, new.image), -1.0)
        if image == new.image:
            lasted = max(lasted, 0.0) + (self.now - since).total_seconds()
        if lasted < 0:
            raise Violation(f"{new.environment} gets {new.image}, which {earlier} never had as a stable release")
        if lasted < soak:
            raise Violation(
                f"{new.environment} gets {new.image}, which {earlier} had for {lasted} s and not for {soak} s"
            )

    def _check_named(self, new: AppReleaseSpec, earlier: str | None) -> None:
        """A person has named this very release, or in the first environment its code or image."""
        words = [word for env, word in self.said if env == new.environment]
        if earlier is None:
            digest = new.image.rpartition("@sha256:")[2]
            named = any(len(w) >= 7 and ((new.commit or "").startswith(w) or digest.startswith(w)) for w in words)
        else:
            named = any(image == new.image for image in self._numbered(earlier, words))
        if not named:
            raise Violation(f"{new.environment} gets r{new.number} ({new.image}), and nobody has promoted it: {words}")

    def _numbered(self, earlier: str, words: list[str]) -> Iterator[str | None]:
        for word in words:
            if word.isdigit():
                yield self.images.get((earlier, int(word)))

    def _check_farewell(self, uid: str) -> None:
        if self.leaving is None or uid != "app-uid":
            raise Violation("the app is deleted, and nobody wanted it to leave")
        left = self.parts()
        if left or self.status.environments:
            raise Violation(f"the app is deleted while something is left of it: {left or self.status.environments}")

    def _note_stable(self, status: DataAppStatus) -> None:
        """For how long each image was the stable one, environment by environment."""
        for memory in (*self.status.environments, *status.environments):
            after = status.environment(memory.name)
            image = self.images[memory.name, after.stable] if after.stable is not None else None
            before = self.serving.get(memory.name)
            if before is not None and before[0] == image:
                continue
            if before is not None:
                key = (memory.name, before[0])
                self.served[key] = self.served.get(key, 0.0) + (self.now - before[1]).total_seconds()
                del self.serving[memory.name]
            if image is not None:
                self.serving[memory.name] = (image, self.now)
                self.served.setdefault((memory.name, image), 0.0)
