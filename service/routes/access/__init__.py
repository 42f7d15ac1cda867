"""Routes of who asks: logging in and out, users, API tokens."""
