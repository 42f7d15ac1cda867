"""``actoscope evaluate`` and ``compare``: clips judged, with intervals, calibration and a report."""
