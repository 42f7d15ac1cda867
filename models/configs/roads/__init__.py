"""The roads that this project's forerunners went, on real videos: docs/roads.md says what each of them gives."""
