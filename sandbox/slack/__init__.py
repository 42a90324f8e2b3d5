"""A strict local stand-in of Slack: Web API, signed requests, Block Kit limits, and a page to click through."""

from sandbox.slack.blockkit import check_message_blocks, check_view
from sandbox.slack.courier import Answer
from sandbox.slack.faults import Fault, Faults
from sandbox.slack.interaction import Interaction
from sandbox.slack.manifest import check_manifest
from sandbox.slack.model import ApiCall, Channel, Message, NotPossibleError, User, UserGroup, View
from sandbox.slack.pace import Pace
from sandbox.slack.stand_in import SlackStandIn

__all__ = [
    "Answer",
    "ApiCall",
    "Channel",
    "Fault",
    "Faults",
    "Interaction",
    "Message",
    "NotPossibleError",
    "Pace",
    "SlackStandIn",
    "User",
    "UserGroup",
    "View",
    "check_manifest",
    "check_message_blocks",
    "check_view",
]
