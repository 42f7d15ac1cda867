"""Who asks: users and their passwords, sessions, API tokens, proxies that log people in; the audit."""
