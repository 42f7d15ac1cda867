"""What becomes of what people say of events: verdicts checked, and the clips that they are about kept."""
