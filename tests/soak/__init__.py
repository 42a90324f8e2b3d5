"""The fault suite: the real processes, a real PostgreSQL and the stand-ins, under fire; an account at the end."""
