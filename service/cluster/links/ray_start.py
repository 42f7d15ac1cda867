"""Begins Ray as ``ray start`` does, but for its client's server: ``python -m service.cluster.links.ray_start start …``.

That server takes programs from elsewhere, at port 10001 of every address. ``ray start`` has no option against it: the
head begins it wherever gRPC for Python is installed, which other packages bring along.
"""

from __future__ import annotations

from ray.scripts import scripts


def main() -> None:
    if not hasattr(scripts, "get_ray_client_dependency_error"):
        raise SystemExit("another version of Ray: it cannot be begun without its client's server")
    scripts.get_ray_client_dependency_error = lambda: "not wanted here"
    scripts.main()


if __name__ == "__main__":
    main()
