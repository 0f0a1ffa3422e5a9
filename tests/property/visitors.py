"""Where visitors are sent: checked at every write to a route, against what is ready and what is persisted.

New visits go to a release that can carry them. A page load of a browser whose release has left is a new visit; all
else that carries the cookie of a pod goes to that very pod, for as long as there is one.
"""

import re

from dataapp_operator.api.reasons import Phase
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
        self._check_capacity(name, env, backends, before=routes.backends_of(old) if old is not None else {})
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
            if moved and self._leads_cookies(env, number) and names.release("sales", env, number) not in self.routes:
                raise Violation(f"{name} sends people to r{number}, whose cookies lead nowhere yet")
            self.exposed.add((env, number))
        self._check_pages(name, env, new)
        if moved:
            self._check_able(name, env, backends)
            if not self.marks:
                raise Violation(f"{name} sends people elsewhere, and nobody can see whether they get there")
        if self._refuses(new):
            raise Violation(f"{name} asks a gateway that refuses patterns to match one")

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

    def _check_capacity(self, name: str, env: str, backends: dict[str, int], *, before: dict[str, int]) -> None:
        """What is new never gets a greater part of the visitors than of the replicas that it is to have in the end."""
        memory = self.status.environment(env)
        number = memory.candidate
        if number is None or number in memory.former or (env, number) not in self.releases:
            return
        share, had = (
            sum(weight for backend, weight in led.items() if self._slot_of(backend)[1] == number)
            for led in (backends, before)
        )
        ready = sum(self._slot_ready(slot) for slot in self.services if slot[:2] == (env, number))
        if share > had and share * self.releases[(env, number)][0].plan.slots > ready * SCALE:
            raise Violation(f"{name} gives r{number} {share} of {SCALE}, and {ready} of its replicas are ready")

    def _check_pages(self, name: str, env: str, new: dict) -> None:
        """Whose release has left gets the present one with the next page, and nobody else does."""
        backends = routes.backends_of(new)
        target = {self._slot_of(backend)[1] for backend in backends}
        gone: set[int] = set()
        slots: set[tuple[int, int]] = set()
        for rule in new["rules"][:-1]:
            sent = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
            asked = self._asked_for(rule)
            if asked is not None:
                if {self._slot_of(backend)[1] for backend in sent} != {asked} or len(target) < 2 or asked not in target:
                    raise Violation(f"{name} leads whoever asks for r{asked} to {sorted(sent)}")
                continue
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
        left = {n for e, n in self.exposed if e == env and self._leads_cookies(e, n)} & there - target - set(removing)
        if not left <= gone:
            raise Violation(f"a page load may still land on {sorted(left - gone)} of {env}, which has left")
        on_its_way = self.status.environment(env).candidate  # again, perhaps
        still = {
            n
            for n in left - {on_its_way}
            if any(self._asked_for(r) for r in self._rules_of(names.release("sales", env, n)))
        }
        if still:
            raise Violation(f"whoever asks for {sorted(still)} of {env} still gets it, and it has left")
        scales = self.status.environment(env).scales
        leaving = {(s.release, slot.index) for s in scales if s.release in target for slot in s.leaving}
        leaving = {(number, index) for number, index in leaving if self._leads_cookies(env, number)}
        if not leaving <= slots:
            raise Violation(f"a page load may still land on {sorted(leaving - slots)} of {env}, which leaves")
        if slots & {self._place(backend) for backend in backends}:
            raise Violation(f"{name} treats whoever is on a replica that serves as a stranger: {sorted(slots)}")
        if gone & target:
            raise Violation(f"{name} treats whoever has {sorted(gone & target)} open as a stranger")

    def _place(self, backend: str) -> tuple[int, int]:
        _, number, label = self._slot_of(backend)
        return number, int(label[1:])

    def _leads_cookies(self, env: str, number: int) -> bool:
        """Whether a cookie of this release means anything: its Gateway was not seen to take no notice of it."""
        record = self.releases.get((env, number))
        return record is None or record[0].plan.pins

    def _check_able(self, name: str, env: str, backends: dict[str, int]) -> None:
        """Where cookies lead nowhere, sessions have one process to be in, and one release at a time to come to."""
        shares = {self._slot_of(backend)[1] for backend in backends}
        plans = [record[0].plan for number in shares if (record := self.releases.get((env, number))) is not None]
        if self.pins == "led" or all(plan.probe.framework == "fastapi" for plan in plans):
            return
        if len(backends) > 1:
            raise Violation(f"{name} shares visitors out among {sorted(backends)}, and their cookies lead nowhere")

    def _check_pins(self, name: str, new: dict) -> None:
        """The cookie of a pod leads to that pod, and only while it does not answer to another one of its release.

        Whoever asks for a release on its way gets that one.
        """
        for rule in new["rules"]:
            asked = self._asked_for(rule)
            if asked is not None:
                self._check_asked(name, asked, {self._slot_of(backend["name"])[:2] for backend in rule["backendRefs"]})
                continue
            for match in rule["matches"]:
                for header in match.get("headers", ()):
                    number, index = re.search(r"=(\d+)\\\.(\d+)", header["value"]).groups()
                    led = [self._slot_of(backend["name"]) for backend in rule["backendRefs"]]
                    own = (led[0][0], int(number), f"s{index}")
                    round_it = not self._slot_settled(own) and self._slot_ready(led[0]) and led[0][1] == int(number)
                    if led != [own] and not (round_it and len(led) == 1):
                        raise Violation(f"{name} leads whoever has r{number}, slot {index} open to {led}")

    def _check_asked(self, name: str, number: int, led: set[tuple[str, int]]) -> None:
        """A release is asked for by its number, beside another that serves, and only as long as it is on its way."""
        env = name.rsplit("-", 2)[1]
        memory = self.status.environment(env)
        intent = memory.intent
        over = memory.phase == Phase.BAKING or (intent and (intent.switch_to != number or intent.weight is None))
        if led != {(env, number)} or memory.candidate != number or memory.stable is None or over:
            raise Violation(f"{name} leads whoever asks for r{number} to {sorted(led)}, and it is not on its way")

    def _rules_of(self, name: str) -> list[dict]:
        return self.routes[name][0]["rules"] if name in self.routes else []

    def _asked_for(self, rule: dict) -> int | None:
        """The release that every request must name which falls under this rule; None for a rule that asks for no such thing."""
        named = []
        for match in rule["matches"]:
            by_header = [h["value"] for h in match.get("headers", ()) if h["name"] == names.HEADER_RELEASE]
            by_cookie = [
                found[1]
                for h in match.get("headers", ())
                if h["name"] == "Cookie" and (found := re.search(r"dataapp-release=(\d+)\(", h["value"]))
            ]
            named.append(next(iter(by_header + by_cookie), None))
        if any(named) and len(set(named)) != 1:
            raise Violation(f"a visitor who asks for nothing may fall under a rule for those who do: {rule['matches']}")
        return int(named[0]) if named and named[0] is not None else None

    def _check_route_delete(self, name: str) -> None:
        if name.endswith(".proof"):
            return  # nobody is led by it
        if name.endswith(".preview") or re.search(r"-\d+$", name):
            env, number = name.removesuffix(".preview").rsplit("-", 2)[1:]
            if int(number) not in self.status.environment(env).removing:
                raise Violation(f"the route of {name} is deleted, and the persisted status does not say why")
            return
        memory = self.status.environment(name.rsplit("-", 1)[1])
        if memory.weights or memory.intent:
            raise Violation(f"{name} is deleted while the persisted status sends people through it")
