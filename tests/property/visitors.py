"""Where visitors are sent: checked at every write to a route, against what is ready and what is persisted.

New visits go to a release that can carry them. A page load of a browser whose release has left is a new visit; all
else that carries the cookie of a pod goes to that very pod, for as long as there is one.
"""

import re

from dataapp_operator.api.status import SCALE, EnvironmentStatus
from dataapp_operator.plan import names, routes
from dataapp_operator.plan.names import PAGE
from tests.property.alone import Alone
from tests.property.cluster import Violation, kind_of
from tests.property.no_way_back import NoWayBack

NEVER_PASS = {"crash", "session", "silent", "mute"}
"""Kinds of images that nobody may ever be sent to."""


class Visitors(NoWayBack, Alone):
    """Writes to routes."""

    def _check_route_write(self, name: str, labels: dict, new: dict, old: dict | None) -> None:
        if names.LABEL_RELEASE in labels:
            self._check_pins(name, new)
            return
        backends = routes.backends_of(new)
        if sum(backends.values()) != SCALE:
            raise Violation(f"weights of {name} sum to {sum(backends.values())}")
        self._check_nobody_goes_back(name, labels[names.LABEL_ENVIRONMENT], old, new)
        old = old or self.deleted_routes.get(name)
        moved = old is None or routes.backends_of(old) != backends
        if moved and not self._backends_ready(new):
            raise Violation(f"{name} is pointed at a release without a ready replica")
        env = labels[names.LABEL_ENVIRONMENT]
        memory = self.status.environment(env)
        self._check_shares(name, memory, backends)
        justified = {w.release for w in memory.weights} | ({memory.intent.switch_to} if memory.intent else set())
        for backend in backends:
            number = self._slot_of(backend)[1]
            if number not in justified:
                raise Violation(f"{name} sends people to r{number}, which the persisted status does not justify")
            if number in memory.removing:
                raise Violation(f"{name} sends people to r{number}, which is being removed")
            if number == PAGE:
                self._check_page(env)
                continue
            if kind_of(self.images[(env, number)]) in NEVER_PASS:
                raise Violation(f"people are sent to r{number}, which never passed its checks")
            fresh = old is not None and backend not in routes.backends_of(old)
            within = old is not None and number in {self._slot_of(b)[1] for b in routes.backends_of(old)}
            if fresh and within and not self._slot_ready(self._slot_of(backend)):
                raise Violation(f"{name} sends people to another replica of r{number}, which is not ready")
            if moved and number != memory.stable and not self._slot_ready(self._slot_of(backend)):
                raise Violation(f"{name} gives r{number} a share that its ready replicas cannot carry")
            if moved and names.release("sales", env, number) not in self.routes:
                raise Violation(f"{name} sends people to r{number}, whose cookies lead nowhere yet")
            self.exposed.add((env, number))
        self._check_pages(name, env, new)

    def _check_shares(self, name: str, memory: EnvironmentStatus, backends: dict[str, int]) -> None:
        """A release that is on its way has the share that was decided, and the rest stays with what is stable."""
        intent, shares = memory.intent, {}
        for backend, weight in backends.items():
            number = self._slot_of(backend)[1]
            shares[number] = shares.get(number, 0) + weight
        part = None if intent is None else intent.weight
        if part is not None and shares != {memory.stable: SCALE - part, intent.switch_to: part}:
            raise Violation(f"{name} shares visitors as {shares}, and {part} to r{intent.switch_to} was decided")
        if intent is not None and part is None and set(shares) != {intent.switch_to}:
            raise Violation(f"{name} sends people to {sorted(shares)}, and all to r{intent.switch_to} was decided")

    def _check_pages(self, name: str, env: str, new: dict) -> None:
        """Whose release has left gets the present one with the next page, and nobody else does."""
        backends = routes.backends_of(new)
        target = {self._slot_of(backend)[1] for backend in backends}
        gone: set[int] = set()
        slots: set[tuple[int, int]] = set()
        for rule in new["rules"][:-1]:
            sent = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
            if sent != backends:
                raise Violation(f"{name} sends page loads elsewhere than new visits")
            for match in rule["matches"]:
                cookie = next(header["value"] for header in match["headers"] if header["name"] == "Cookie")
                for number, which in re.findall(r"(\d+)\\\.(\[0-9\]\+|\d+)", cookie):
                    if which.isdigit():
                        slots.add((int(number), int(which)))
                    else:
                        gone.add(int(number))
        removing = self.status.environment(env).removing
        there = {pod.slot[1] for pod in self.pods.values() if pod.slot[0] == env and not pod.over}
        left = {n for e, n in self.exposed if e == env} & there - target - set(removing)
        if not left <= gone:
            raise Violation(f"a page load may still land on {sorted(left - gone)} of {env}, which has left")
        scales = self.status.environment(env).scales
        leaving = {(s.release, slot.index) for s in scales if s.release in target for slot in s.leaving}
        if not leaving <= slots:
            raise Violation(f"a page load may still land on {sorted(leaving - slots)} of {env}, which leaves")
        if slots & {self._place(backend) for backend in backends}:
            raise Violation(f"{name} treats whoever is on a replica that serves as a stranger: {sorted(slots)}")
        if gone & target:
            raise Violation(f"{name} treats whoever has {sorted(gone & target)} open as a stranger")

    def _place(self, backend: str) -> tuple[int, int]:
        _, number, label = self._slot_of(backend)
        return number, int(label[1:])

    def _check_pins(self, name: str, new: dict) -> None:
        """The cookie of a pod leads to that pod and to no other."""
        for rule in new["rules"]:
            for match in rule["matches"]:
                for header in match.get("headers", ()):
                    number, index = re.search(r"=(\d+)\\\.(\d+)", header["value"]).groups()
                    led = [self._slot_of(backend["name"])[1:] for backend in rule["backendRefs"]]
                    if led != [(int(number), f"s{index}")]:
                        raise Violation(f"{name} leads whoever has r{number}, slot {index} open to {led}")

    def _check_route_delete(self, name: str) -> None:
        if name.endswith(".preview") or re.search(r"-\d+$", name):
            env, number = name.removesuffix(".preview").rsplit("-", 2)[1:]
            if int(number) not in self.status.environment(env).removing:
                raise Violation(f"the route of {name} is deleted, and the persisted status does not say why")
            return
        memory = self.status.environment(name.rsplit("-", 1)[1])
        if memory.weights or memory.intent:
            raise Violation(f"{name} is deleted while the persisted status sends people through it")
