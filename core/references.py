"""References: what an unexpected failure shows to a person, and the log holds too."""

import secrets

# Without letters and digits that are easily taken for one another when read out.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


def new_reference() -> str:
    """Return a short reference such as `R-7KQ2MX`."""
    return "R-" + "".join(secrets.choice(_ALPHABET) for _ in range(6))
