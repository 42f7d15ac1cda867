"""The other side of benchmarks/peer.py: the loop of ultralytics' action recognition example, as its own process."""
