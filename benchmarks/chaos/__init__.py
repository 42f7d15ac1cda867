"""The reliability targets that need a whole service: kills, hostile input, soak, stuck subscribers, a full disk."""
