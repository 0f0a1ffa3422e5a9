"""The work queue in virtual time: single flight, dirty once more, delays, back-off, and nothing lost."""

import asyncio

import pytest

from dataapp_operator.kube.queue import Failed, Ok, QueueShutDown, RequeueAfter, Terminal, WorkQueue

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def make(**options):
    return WorkQueue(jitter=lambda: 0.0, **options)


def now():
    return asyncio.get_running_loop().time()


async def empty(queue, seconds=1000.0):
    """Whether nothing comes for so long."""
    try:
        await asyncio.wait_for(queue.get(), seconds)
    except TimeoutError:
        return True
    return False


async def test_a_key_added_often_runs_once():
    queue = make()
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert queue.depth == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert await empty(queue)


async def test_a_key_is_never_given_to_two_workers():
    queue = make()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert await empty(queue)


async def test_dirty_while_running_runs_once_more():
    queue = make()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    queue.done("a", Ok())
    assert await queue.get() == "a"
    queue.done("a", Ok())
    assert await empty(queue)


@pytest.mark.parametrize("result", [Ok(), Terminal(), Failed(), RequeueAfter(60)])
async def test_dirty_runs_again_at_once_whatever_the_result(result):
    queue = make()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.done("a", result)
    assert await queue.get() == "a"
    assert now() == 0


async def test_of_two_delays_the_earlier_one_stands():
    queue = make()
    queue.add("a", after=10)
    queue.add("a", after=5)
    queue.add("a", after=20)
    await queue.get()
    assert now() == 5
    queue.done("a", Ok())
    assert await empty(queue)


async def test_an_earlier_delay_of_another_key_is_not_held_up():
    queue = make()
    queue.add("late", after=600)
    queue.add("early", after=1)
    assert await queue.get() == "early"
    assert now() == 1
    assert await queue.get() == "late"
    assert now() == 600


async def test_running_before_it_is_due_does_not_take_the_wish_back():
    queue = make()
    queue.add("a", after=10)
    queue.add("a")
    await queue.get()
    queue.done("a", Ok())
    await queue.get()
    assert now() == 10


async def test_a_delay_that_ends_while_running_makes_it_dirty():
    queue = make()
    queue.add("a", after=5)
    queue.add("a")
    await queue.get()
    await asyncio.sleep(7)
    queue.done("a", Ok())
    assert await queue.get() == "a"
    assert now() == 7


@pytest.mark.parametrize("seconds", [0.0, 600.0])
async def test_requeue_after_comes_back_in_time(seconds):
    queue = make()
    queue.add("a")
    await queue.get()
    queue.done("a", RequeueAfter(seconds))
    assert await queue.get() == "a"
    assert now() == seconds


async def test_failures_pause_longer_each_time_up_to_a_limit_until_one_success():
    queue = make(base_seconds=1, max_seconds=10)
    queue.add("a")
    pauses = []
    for _ in range(6):
        began = now()
        await queue.get()
        queue.done("a", Failed())
        pauses.append(now() - began)
    assert pauses == [0, 1, 2, 4, 8, 10]
    await queue.get()
    queue.done("a", Ok())
    queue.add("a")
    began = now()
    await queue.get()
    queue.done("a", Failed())
    await queue.get()
    assert now() - began == 1


async def test_one_key_that_fails_does_not_slow_another():
    queue = make(base_seconds=8)
    for key in ("bad", "good"):
        queue.add(key)
        await queue.get()
    queue.done("bad", Failed())
    queue.done("good", RequeueAfter(1))
    assert await queue.get() == "good"
    assert now() == 1


async def test_jitter_leaves_out_up_to_half_of_the_pause():
    queue = WorkQueue(jitter=iter([0.0, 0.5, 0.999]).__next__, base_seconds=10, max_seconds=10)
    queue.add("a")
    pauses = []
    for _ in range(3):
        await queue.get()
        queue.done("a", Failed())
        began = now()
        await queue.get()
        queue.done("a", Ok())
        queue.add("a")
        pauses.append(now() - began)
    assert pauses == pytest.approx([10, 7.5, 5.005])


async def test_a_failure_waits_at_least_as_long_as_the_server_asked():
    queue = make(base_seconds=0.2)
    queue.add("a")
    await queue.get()
    queue.done("a", Failed(at_least=7))
    await queue.get()
    assert now() == 7


async def test_terminal_waits_for_the_next_change_and_forgets_the_failures():
    queue = make(base_seconds=1)
    queue.add("a")
    await queue.get()
    queue.done("a", Failed())
    await queue.get()
    queue.done("a", Terminal())
    assert await empty(queue)
    queue.add("a")
    await queue.get()
    queue.done("a", Failed())
    began = now()
    await queue.get()
    assert now() - began == 1


async def test_a_thousand_failures_overflow_nothing():
    queue = make()
    queue.add("a")
    for _ in range(1200):
        await queue.get()
        queue.done("a", Failed())
    began = now()
    await queue.get()
    assert now() - began == 60


async def test_shut_down_sends_every_worker_home_and_lets_running_work_finish():
    queue = make()
    queue.add("a")
    queue.add("later", after=5)
    await queue.get()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.add("b")
    queue.shut_down()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, QueueShutDown) for result in results)
    queue.done("a", Failed())
    queue.add("c")
    with pytest.raises(QueueShutDown):
        await queue.get()


async def test_ages_and_depth_tell_a_stuck_queue():
    queue = make()
    assert (queue.depth, queue.running, queue.delayed) == (0, 0, 0)
    assert (queue.oldest_seconds(), queue.longest_seconds()) == (0.0, 0.0)
    queue.add("a")
    await asyncio.sleep(3)
    queue.add("b")
    queue.add("c", after=100)
    await asyncio.sleep(1)
    assert (queue.depth, queue.running, queue.delayed) == (2, 0, 1)
    assert queue.oldest_seconds() == 4
    await queue.get()
    await asyncio.sleep(2)
    assert (queue.depth, queue.running, queue.delayed) == (1, 1, 1)
    assert (queue.oldest_seconds(), queue.longest_seconds()) == (3, 2)
    # dirty since second 6: it waits since then, though it is back in the queue only from second 9
    queue.add("a")
    await asyncio.sleep(3)
    await queue.get()
    queue.done("a", Ok())
    assert queue.oldest_seconds() == 3


async def test_a_cancelled_worker_takes_no_key_with_it():
    queue = make()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    queue.add("a")
    assert await queue.get() == "a"
