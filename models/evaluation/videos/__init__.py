"""Whole videos judged, from what the pipeline said of them."""
