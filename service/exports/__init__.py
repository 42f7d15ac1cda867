"""Cases: what cameras recorded in a span of time, and all that is known of it, as one ZIP that proves itself."""
