"""The Prometheus text: parseable, complete, and counters never go back when a process starts again."""

from prometheus_client.parser import text_string_to_metric_families

from service.counters import Measures, Rate
from service.prometheus import CounterKeeper, exposition


def read(text: bytes) -> dict:
    samples = (s for family in text_string_to_metric_families(text.decode()) for s in family.samples)
    return {(s.name, *sorted(s.labels.items())): s.value for s in samples}


def test_exposition_holds_counters_gauges_and_histograms_of_every_stream():
    first, second = Measures(), Measures()
    first.count("drops_total:source", 3)
    first.gauge("detection_stride", 2)
    first.observe("stage:track", 0.015)
    second.count("drops_total:source", 5)
    text = exposition(
        [
            ("", {"stream": "a"}, first.snapshot(), CounterKeeper()),
            ("", {"stream": "b"}, second.snapshot(), CounterKeeper()),
            ("inference_", {}, first.snapshot(), CounterKeeper()),
        ]
    )
    samples = read(text)
    assert samples[("actoscope_drops_total", ("cause", "source"), ("stream", "a"))] == 3
    assert samples[("actoscope_drops_total", ("cause", "source"), ("stream", "b"))] == 5
    assert samples[("actoscope_detection_stride", ("stream", "a"))] == 2
    assert samples[("actoscope_inference_drops_total", ("cause", "source"))] == 3
    bucket = ("actoscope_stage_seconds_bucket", ("le", "0.02"), ("stage", "track"), ("stream", "a"))
    assert samples[bucket] == 1
    assert samples[("actoscope_stage_seconds_count", ("stage", "track"), ("stream", "a"))] == 1


def test_counter_of_a_restarted_process_goes_on_from_where_it_was():
    keeper = CounterKeeper()
    before, after = Measures(), Measures()
    before.count("frames_in_total", 100)
    after.count("frames_in_total", 4)
    exposition([("", {"stream": "a"}, before.snapshot(), keeper)])
    text = exposition([("", {"stream": "a"}, after.snapshot(), keeper)])
    assert read(text)[("actoscope_frames_in_total", ("stream", "a"))] == 104


def test_rate_is_growth_over_the_window():
    rate = Rate(window_s=5)
    assert rate.update(0, 100.0) == 0
    assert rate.update(50, 102.0) == 25
    assert rate.update(50, 112.0) == 0  # the old samples have left the window


def test_the_measures_of_a_real_stream_have_no_two_families_of_one_name():
    """A gauge and a histogram once shared ``label_age_seconds``, and ``/metrics`` answered 500."""
    measures = Measures()
    for name in ("label_latency", "label_interval", "frame_age", "stage:draw", "batch:detect"):
        measures.observe(name, 0.1)
    for name in ("label_age_seconds", "clip_queue_depth", "detection_stride", "fps_in", "fps_out", "tracks", "up"):
        measures.gauge(name, 1)
    text = exposition([("", {"stream": "a"}, measures.snapshot(), CounterKeeper())])
    kinds = [line.split()[2] for line in text.decode().splitlines() if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds)) == 12
    assert read(text)[("actoscope_label_latency_seconds_count", ("stream", "a"))] == 1
