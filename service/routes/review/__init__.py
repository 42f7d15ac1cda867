"""Routes of the review: events and what people say of them, the timeline, the search, corrections, cases."""
