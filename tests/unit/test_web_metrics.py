"""Each thing counted appears under its name, with its labels."""

from dataapp_operator.web.metrics import Metrics


def read(metrics):
    lines = metrics.render().decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


def test_reconciles_are_counted_by_result_and_timed():
    metrics = Metrics()
    metrics.reconciled("ok", seconds=0.002)
    metrics.reconciled("ok", seconds=0.2)
    metrics.reconciled("failed", seconds=20)
    series = read(metrics)
    assert series['dataapp_reconciles_total{result="ok"}'] == "2.0"
    assert series['dataapp_reconciles_total{result="failed"}'] == "1.0"
    assert series['dataapp_reconcile_seconds_bucket{le="0.25"}'] == "2.0"
    assert series["dataapp_reconcile_seconds_count"] == "3.0"


def test_calls_are_counted_by_verb_kind_and_code():
    metrics = Metrics()
    metrics.api_call("apply", "services", "200")
    metrics.api_call("apply", "services", "timeout")
    series = read(metrics)
    assert series['dataapp_api_calls_total{code="200",kind="services",verb="apply"}'] == "1.0"
    assert series['dataapp_api_calls_total{code="timeout",kind="services",verb="apply"}'] == "1.0"


def test_a_phase_without_releases_falls_to_zero():
    metrics = Metrics()
    metrics.releases({"Baking": 2, "Released": 1})
    metrics.releases({"Released": 3})
    series = read(metrics)
    assert series['dataapp_releases{phase="Baking"}'] == "0.0"
    assert series['dataapp_releases{phase="Released"}'] == "3.0"


def test_the_queue_is_asked_when_the_figures_are_read():
    metrics, waiting = Metrics(), [1, 2]
    metrics.watch_queue(depth=lambda: len(waiting), oldest_seconds=lambda: 7.5)
    waiting.append(3)
    series = read(metrics)
    assert series["dataapp_queue_depth"] == "3.0"
    assert series["dataapp_queue_oldest_seconds"] == "7.5"


def test_the_age_of_the_last_event_grows_until_the_next():
    time = [100.0]
    metrics = Metrics(clock=lambda: time[0])
    metrics.event_seen("dataapps")
    time[0] = 130.0
    assert read(metrics)['dataapp_watch_last_event_age_seconds{kind="dataapps"}'] == "30.0"
    metrics.event_seen("dataapps")
    assert read(metrics)['dataapp_watch_last_event_age_seconds{kind="dataapps"}'] == "0.0"


def test_two_operators_in_one_process_do_not_add_up():
    first, second = Metrics(), Metrics()
    first.resynced()
    assert read(first)["dataapp_resyncs_total"] == "1.0"
    assert read(second)["dataapp_resyncs_total"] == "0.0"


def test_the_process_itself_is_measured():
    assert float(read(Metrics())["process_resident_memory_bytes"]) > 1e6
