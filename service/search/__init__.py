"""Words that people type, as filters of events: a small parser that always answers the same."""
