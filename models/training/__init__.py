"""``actoscope train``: from a configuration and a data set to a weights folder."""
