"""Metadata and the way it is merged (https://docs.stripe.com/metadata)."""

from typing import Literal

from sandbox.stripe.errors import RefusedError

MOST_KEYS, LONGEST_KEY, LONGEST_VALUE = 50, 40, 500


def merged(
    old: dict[str, str], new: dict[str, str] | Literal[""] | None, param: str = "metadata"
) -> dict[str, str]:
    """The metadata after an update: an empty value unsets a key, an empty whole unsets all.

    Raises:
        RefusedError: for too many keys, or a key or value that is too long.
    """
    if new is None:
        return dict(old)
    if new == "":
        return {}
    for key, value in new.items():
        if len(key) > LONGEST_KEY:
            raise RefusedError(
                f"Metadata keys can have up to {LONGEST_KEY} characters; '{key}' has {len(key)}.",
                param=f"{param}[{key}]",
            )
        if len(value) > LONGEST_VALUE:
            raise RefusedError(
                f"Metadata values can have up to {LONGEST_VALUE} characters; that of '{key}' has {len(value)}.",
                param=f"{param}[{key}]",
            )
    after = {key: value for key, value in {**old, **new}.items() if value}
    if len(after) > MOST_KEYS:
        raise RefusedError(f"You can have up to {MOST_KEYS} metadata keys; there are {len(after)}.", param=param)
    return after
