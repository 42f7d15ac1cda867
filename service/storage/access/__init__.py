"""Who may what, as it is stored: users, sessions, tokens, grants and groups, keys of signed links, the audit."""
