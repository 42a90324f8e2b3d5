"""Tests, on a real PostgreSQL and strict stand-ins."""
