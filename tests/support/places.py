"""Where the tests find what is not beside them."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"  # videos and weights too large for the repository; tests that want them may skip
STREET = REPOSITORY / "samples" / "street.mp4"  # 768×576, 10 pictures a second
