"""Which tables are the migrations' own to compare."""


def include_name(name: str | None, type_: str, _parent_names: object) -> bool:
    """Leave the queue's own tables out of comparisons."""
    return not (type_ == "table" and name is not None and name.startswith("procrastinate_"))
