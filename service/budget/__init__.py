"""What this machine can afford: what work costs here, a plan for every stream, and whose clip is worth classifying."""
