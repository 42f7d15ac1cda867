"""The processes behind the API: what they say to each other, and who keeps them alive."""
