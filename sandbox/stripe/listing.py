"""Lists in pages, newest first (https://docs.stripe.com/api/pagination), and expanded objects."""

from collections.abc import Collection, Iterable
from copy import deepcopy

from sandbox.stripe.books import Books, Json
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import RefusedError, no_such

MOST = 100
DEFAULT = 10


def page(call: Call, oldest_first: Iterable[Json]) -> Json:
    """The page that the call asks for, of the objects that its filters left.

    Raises:
        RefusedError: for a limit out of range or a cursor that names nothing.
    """
    limit = call.params.get("limit", DEFAULT)
    if not 1 <= limit <= MOST:
        raise RefusedError(
            f"Invalid integer: {limit} (limit has to be from 1 to {MOST})",
            code="parameter_invalid_integer",
            param="limit",
        )
    objects = list(oldest_first)[::-1]
    after, before = call.params.get("starting_after"), call.params.get("ending_before")
    if after and before:
        raise RefusedError("You can't give both starting_after and ending_before.", param="starting_after")
    if before:
        newer = objects[: _place(objects, before, "ending_before")]
        return _list(call.path, newer[-limit:], has_more=len(newer) > limit)
    older = objects[_place(objects, after, "starting_after") + 1 :] if after else objects
    return _list(call.path, older[:limit], has_more=len(older) > limit)


def _place(objects: list[Json], cursor: str, param: str) -> int:
    for place, each in enumerate(objects):
        if each["id"] == cursor:
            return place
    raise no_such("object", cursor, param)


def _list(path: str, data: list[Json], *, has_more: bool) -> Json:
    return {"object": "list", "data": data, "has_more": has_more, "url": path}


def matching(objects: Iterable[Json], params: Json, fields: Collection[str]) -> list[Json]:
    """The objects whose fields are as the parameters of the same names ask, and `created` in its range."""
    wanted = {key: params[key] for key in fields if key in params}
    return [
        each
        for each in objects
        if all(each.get(key) == value for key, value in wanted.items()) and _is_within(each, params.get("created"))
    ]


def _is_within(each: Json, created: int | dict[str, int] | None) -> bool:
    if created is None:
        return True
    moment: int = each["created"]
    if isinstance(created, int):
        return moment == created
    holds = {
        "gt": lambda bound: moment > bound,
        "gte": lambda bound: moment >= bound,
        "lt": lambda bound: moment < bound,
        "lte": lambda bound: moment <= bound,
    }
    return all(holds[key](bound) for key, bound in created.items())


def expanded(books: Books, answer: Json, paths: Collection[str]) -> Json:
    """A copy of the answer with ids replaced by the objects they name (https://docs.stripe.com/expand).

    Raises:
        RefusedError: for a property that can't be expanded.
    """
    answer = deepcopy(answer)
    for path in paths:
        _expand(books, answer, path.split("."), path)
    return answer


def _expand(books: Books, place: Json, steps: list[str], path: str) -> None:
    step, *rest = steps
    if step == "data" and rest and isinstance(place.get("data"), list):
        for each in place["data"]:
            _expand(books, each, rest, path)
        return
    if step == "line_items" and place.get("id") in books.line_items:
        items = books.line_items[place["id"]]
        place[step] = _list(f"/v1/{place['object']}s/{place['id']}/line_items", deepcopy(items), has_more=False)
    elif step not in place:
        raise RefusedError(f"This property cannot be expanded ({path}).", param="expand")
    elif isinstance(place[step], str):
        found = books.table_of(place[step]).get(place[step])
        if found is None:
            raise RefusedError(f"This property cannot be expanded ({path}).", param="expand")
        place[step] = deepcopy(found)
    if rest and isinstance(place[step], dict):
        _expand(books, place[step], rest, path)
