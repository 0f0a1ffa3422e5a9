"""The work queue under any sequence of events, compared with a model of two dicts.

The invariants: a key is never with two workers; the queue starts a key exactly when the model says that somebody wished
for it (a wish made while it ran, or due while it ran, counts once afterwards); and at the end, with workers and time
enough, every wish has been granted.
"""

import asyncio
import time
from collections import Counter

import looptime
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dataapp_operator.kube.queue import Failed, Ok, RequeueAfter, Terminal, WorkQueue

BASE, LONGEST = 1, 16
NEVER = float("inf")


class QueueMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = looptime.new_event_loop(start=0, noop_cycles=1)  # no threads, no sockets
        self.shift = 0.0
        self.queue = WorkQueue(jitter=self.unique, base_seconds=BASE, max_seconds=LONGEST)
        self.workers = []
        self.running = set()
        self.wished = set()  # to run as soon as a worker is free and the key is not running
        self.due = {}  # to be wished for then
        self.failures = Counter()

    def unique(self):
        """A small number, new each time: no two moments coincide, so the model needs no rule for ties."""
        self.shift += 0.0001
        return self.shift

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def ask(self):
        key = await self.queue.get()
        return self.loop.time(), key

    def pass_to(self, moment):
        for key in [key for key, due in self.due.items() if due <= moment]:
            del self.due[key]
            self.wished.add(key)

    def wish(self, key, after):
        if after > 0:
            self.due[key] = min(self.loop.time() + after, self.due.get(key, NEVER))
        else:
            self.wished.add(key)

    def started(self, moment, key):
        self.pass_to(moment)
        assert key not in self.running, "two workers have one key"
        assert key in self.wished, "nobody wished for this run"
        self.wished.discard(key)
        self.running.add(key)

    def harvest(self):
        finished = [worker for worker in self.workers if worker.done()]
        self.workers = [worker for worker in self.workers if not worker.done()]
        for moment, key in sorted(worker.result() for worker in finished):
            self.started(moment, key)
        self.pass_to(self.loop.time())

    @initialize()
    def begin(self):
        self.run(asyncio.sleep(0))

    @rule(key=st.sampled_from("abcd"), after=st.sampled_from([0, 0, 0.5, 3, 40]))
    def add(self, key, after):
        after = after and after + self.unique()

        async def act():
            self.wish(key, after)
            self.queue.add(key, after=after)
            await asyncio.sleep(0)
            await asyncio.sleep(0)  # a worker that waited has it now

        self.run(act())
        self.harvest()

    @precondition(lambda self: len(self.workers) < 3)
    @rule()
    def a_worker_asks(self):
        async def act():
            self.workers.append(asyncio.ensure_future(self.ask()))
            await asyncio.sleep(0)

        self.run(act())
        self.harvest()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), what=st.sampled_from(["ok", "terminal", "failed", "told to wait", "later", "again"]))
    def finish(self, data, what):
        key = data.draw(st.sampled_from(sorted(self.running)))
        later = 5 + self.unique()
        result = {
            "ok": Ok(),
            "terminal": Terminal(),
            "failed": Failed(),
            "told to wait": Failed(at_least=30 + self.unique()),
            "later": RequeueAfter(later),
            "again": RequeueAfter(0),
        }[what]

        async def act():
            self.running.discard(key)
            shift = self.shift
            self.queue.done(key, result)
            if isinstance(result, Failed):
                pause = min(LONGEST, BASE * 2 ** self.failures[key]) * (1 - (shift + 0.0001) / 2)
                self.failures[key] += 1
                self.wish(key, max(pause, result.at_least))
            else:
                del self.failures[key]
                if isinstance(result, RequeueAfter):
                    self.wish(key, result.seconds)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        self.run(act())
        self.harvest()

    @rule(seconds=st.sampled_from([0.1, 1, 10, 100]))
    def time_passes(self, seconds):
        self.run(asyncio.sleep(seconds + self.unique()))
        self.harvest()

    @precondition(lambda self: self.workers)
    @rule()
    def the_workers_are_cancelled(self):
        async def act():
            for worker in self.workers:
                worker.cancel()
            await asyncio.wait(self.workers)
            self.workers = []

        self.run(act())
        self.harvest()

    @invariant()
    def it_counts_as_the_model_does(self):
        assert self.queue.running == len(self.running)
        assert self.queue.delayed == len(self.due)
        assert self.queue.depth == len(self.wished - self.running)
        assert not self.workers or not self.queue.depth, "a key waits though a worker does too"

    def teardown(self):
        async def settle():
            for worker in self.workers:
                worker.cancel()
            await asyncio.gather(*self.workers, return_exceptions=True)
            for key in sorted(self.running):
                self.queue.done(key, Ok())
            self.running.clear()
            while self.wished or self.due:
                moment, key = await asyncio.wait_for(self.ask(), 1000)
                self.started(moment, key)
                self.running.discard(key)
                self.queue.done(key, Ok())
            self.queue.shut_down()

        try:
            self.run(settle())
        finally:
            self.loop.close()


QueueMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_any_sequence_of_events = QueueMachine.TestCase


def test_a_loop_that_was_blocked_past_two_dues_of_one_key_loses_nothing():
    async def act():
        queue = WorkQueue(jitter=lambda: 0.0)
        queue.add("a", after=0.02)
        queue.add("a", after=0.01)
        queue.add("b", after=0.03)
        time.sleep(0.05)  # noqa: ASYNC251 - blocking the loop is the point
        assert [await asyncio.wait_for(queue.get(), 5) for _ in range(2)] == ["a", "b"]
        queue.shut_down()

    asyncio.run(act())
