"""views.*: modals and home tabs."""

from typing import Literal

from sandbox.slack.blockkit import check_view
from sandbox.slack.methods.base import Call, Method, Methods
from sandbox.slack.model import SlackError, View
from sandbox.slack.shapes import Json
from sandbox.slack.view_json import view_as_json
from sandbox.slack.workspace import Workspace

VIEW_BYTES = 250_000


def checked_view(workspace: Workspace, view: object, kind: Literal["modal", "home"], but: View | None) -> Json:
    """A view after all checks; `but` is the view it will replace, whose external id it may keep.

    Raises:
        SlackError: `invalid_arguments` with the reasons, `view_too_large`, `duplicate_external_id`.
    """
    if complaints := check_view(view, kind):
        raise SlackError("invalid_arguments", complaints)
    if not isinstance(view, dict):
        raise SlackError("invalid_arguments", ["must be an object [json-pointer:/view]"])
    if len(str(view)) > VIEW_BYTES:
        raise SlackError("view_too_large")
    external = view.get("external_id")
    if external and any(v.content.get("external_id") == external and v is not but for v in _open(workspace)):
        raise SlackError("duplicate_external_id")
    return view


def _open(workspace: Workspace) -> list[View]:
    return [view for stack in workspace.stacks.values() for view in stack]


def _given_view(call: Call) -> object:
    view = call.args.structure("view")
    if view is None:
        raise SlackError("invalid_arguments", ["missing required field: view"])
    return view


def _show(call: Call, *, on_top: bool) -> Json:
    content = checked_view(call.workspace, _given_view(call), "modal", None)
    given = call.args.text("trigger_id") or call.args.text("interactivity_pointer")
    if not given:
        raise SlackError("invalid_arguments", ["missing required field: trigger_id"])
    trigger = call.grants.use_trigger(given)
    if on_top and not trigger.in_modal:
        raise SlackError("invalid_trigger_id", ["views.push needs a trigger from inside a modal"])
    view = call.workspace.new_view(trigger.user_id, "modal", content, trigger.interaction_id)
    call.workspace.show_view(view, on_top=on_top)
    return {"view": view_as_json(call.workspace, view)}


def open_(call: Call) -> Json:
    """Open a modal."""
    return _show(call, on_top=False)


def push(call: Call) -> Json:
    """Open a modal on top of the one the person is in."""
    return _show(call, on_top=True)


def _check_hash(call: Call, view: View) -> None:
    given = call.args.text("hash")
    if given and given != view.hash:
        raise SlackError("hash_conflict")


def update(call: Call) -> Json:
    """Show other content in an open modal."""
    view_id, external_id = call.args.text("view_id"), call.args.text("external_id")
    if not view_id and not external_id:
        raise SlackError("invalid_arguments", ["missing required field: view_id or external_id"])
    for view in _open(call.workspace):
        if view.id == view_id or (external_id and view.content.get("external_id") == external_id):
            content = checked_view(call.workspace, _given_view(call), "modal", view)
            _check_hash(call, view)
            call.workspace.change_view(view, content)
            return {"view": view_as_json(call.workspace, view)}
    raise SlackError("not_found")


def publish(call: Call) -> Json:
    """Show a person their home tab."""
    workspace = call.workspace
    if not call.features.get("app_home", {"home_tab_enabled": True}).get("home_tab_enabled"):
        raise SlackError("not_enabled")
    user = workspace.user(call.args.required("user_id"))
    content = checked_view(workspace, _given_view(call), "home", workspace.homes.get(user.id))
    view = workspace.homes.get(user.id)
    if view is None:
        view = workspace.homes[user.id] = workspace.new_view(user.id, "home", content, None)
    else:
        _check_hash(call, view)
        workspace.change_view(view, content)
    workspace.touch()
    return {"view": view_as_json(workspace, view)}


METHODS: Methods = {
    "views.open": Method(open_, tier=4),
    "views.push": Method(push, tier=4),
    "views.update": Method(update, tier=4),
    "views.publish": Method(publish, tier=4),
}
