"""auth.test and api.test: who the token belongs to, and whether anybody answers."""

from sandbox.slack.methods.base import Call, Method, Methods
from sandbox.slack.model import SlackError
from sandbox.slack.shapes import Json
from sandbox.slack.workspace import BOT_ID, BOT_USER


def auth_test(call: Call) -> Json:
    """Whose token this is."""
    call.args.allow("team_id")
    return {
        "url": f"{call.workspace.base_url}/",
        "team": "Local club",
        "team_id": call.workspace.team_id,
        "user": "sideline",
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def api_test(call: Call) -> Json:
    """What was sent, or the error that was asked for."""
    call.args.allow(*call.args.given)
    if error := call.args.text("error"):
        raise SlackError(error)
    return {"args": {name: value for name, value in call.args.given.items() if name != "token"}}


METHODS: Methods = {"auth.test": Method(auth_test), "api.test": Method(api_test)}
