"""What an acknowledgement means: in time or late, well-formed or not, and what a modal does next.

Follows Slack's "Modals" (docs.slack.dev/surfaces/modals): a submission may be answered with a `response_action`.
"""

import json
from typing import Any

from sandbox.slack.courier import Answer
from sandbox.slack.interaction import Interaction
from sandbox.slack.methods.views import checked_view
from sandbox.slack.model import SlackError, View
from sandbox.slack.shapes import Fields, Findings, Json, one_of


def parse_body(body: bytes) -> Any:  # noqa: ANN401 - JSON is any of several types
    """A body as JSON, or as the text it is, or None if there is none."""
    text = body.decode("utf-8", "replace")
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def settle(done: Interaction, answer: Answer) -> None:
    """Note the acknowledgement, and what Slack would complain about in it."""
    done.status, done.elapsed, done.error = answer.status, answer.elapsed, answer.error
    done.ack = parse_body(answer.body)
    workspace = done.workspace
    if answer.error == "operation_timeout":
        workspace.late_acks.append(done.id)
        workspace.problem(f"{done.id}: operation_timeout, no acknowledgement in time")
    elif answer.error:
        workspace.problem(f"{done.id}: {answer.error}")
    elif answer.status != 200:
        done.error = "dispatch_failed"
        workspace.problem(f"{done.id}: dispatch_failed, HTTP {answer.status}")


def settle_submission(done: Interaction, view: View) -> None:
    """Do with the modal what the answer to its submission says: close it, complain, change, go deeper."""
    if done.error is not None:
        return
    if done.ack is None or done.ack == {}:
        done.workspace.close_views(view.user_id, only_top=True)
        return
    try:
        _follow(done, view)
    except SlackError as error:
        done.error = error.code
        done.workspace.problem(f"{done.id}: answer refused: {error.code} {'; '.join(error.messages)}")


def _any(value: object, pointer: str, findings: Findings) -> None:
    if not isinstance(value, dict) or not value:
        findings.add(pointer, "must be an object with content")


def _follow(done: Interaction, view: View) -> None:
    answer: Json = done.ack if isinstance(done.ack, dict) else {"text": done.ack}
    actions = one_of("errors", "update", "push", "clear")
    action = answer.get("response_action")
    needed = {"errors": "errors", "update": "view", "push": "view"}.get(str(action))
    findings = Findings()
    Fields({"response_action": actions, **({needed: _any} if needed else {})})(answer, "", findings)
    if findings.lines:
        raise SlackError("invalid_response", findings.lines)
    workspace = done.workspace
    if action == "clear":
        workspace.close_views(view.user_id)
    elif action == "errors":
        _complain(done, view, answer["errors"])
    elif action == "update":
        workspace.change_view(view, checked_view(workspace, answer["view"], "modal", view))
    else:
        content = checked_view(workspace, answer["view"], "modal", None)
        workspace.show_view(workspace.new_view(view.user_id, "modal", content, done.id), on_top=True)


def _complain(done: Interaction, view: View, errors: Json) -> None:
    inputs = {block["block_id"] for block in view.blocks if block["type"] == "input"}
    for block_id, sentence in errors.items():
        if block_id not in inputs:
            raise SlackError("invalid_response", [f"errors for {block_id}, which is no input block of the view"])
        if not isinstance(sentence, str) or not sentence:
            raise SlackError("invalid_response", [f"the error for {block_id} must be a text"])
    done.errors = view.errors = {str(block_id): str(text) for block_id, text in errors.items()}
    done.workspace.touch()
