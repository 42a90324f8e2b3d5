"""Which tables are the migrations' own to compare."""

# The queue's, and those of Slack's library: they know their own columns.
OTHERS = ("procrastinate_", "slack_")


def include_name(name: str | None, type_: str, _parent_names: object) -> bool:
    """Leave other libraries' tables out of comparisons."""
    return not (type_ == "table" and name is not None and name.startswith(OTHERS))
