"""``actoscope …``: one command a file, with all that it imports.

Each has ``add_options(parser)`` and ``run(arguments)`` → exit status; ``service.cli`` names it.
"""
