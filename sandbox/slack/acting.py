"""Acting as a person in front of Slack: typing commands, pressing buttons, filling in modals."""

import asyncio
import json
from collections.abc import Mapping

from sandbox.slack import payloads
from sandbox.slack.answers import parse_body, settle, settle_submission
from sandbox.slack.blockkit import check_suggestions
from sandbox.slack.composition import all_options
from sandbox.slack.courier import Answer, Courier
from sandbox.slack.grants import Grants, ResponseAddress
from sandbox.slack.interaction import Interaction
from sandbox.slack.lookup import Found, find_elements, the_one, visible
from sandbox.slack.manifest import Installed
from sandbox.slack.model import Message, NotPossibleError, SlackError, Surface, View
from sandbox.slack.responses import show_response
from sandbox.slack.shapes import Json
from sandbox.slack.state import Given, fill_in, is_empty, option_named, values_of
from sandbox.slack.workspace import Workspace

EVENT_RETRY_DELAYS = (0.0, 0.1, 0.2)  # Slack's own are at once, a minute, five minutes
DEFAULT_QUERY_LENGTH = 3


class Acting:
    """What people can do; each act sends what Slack would send and returns what came of it.

    Raises (all acts):
        NotPossibleError: Slack's own window would not let the person do this.
    """

    def __init__(self, workspace: Workspace, grants: Grants, courier: Courier, installed: Installed) -> None:
        self.workspace, self._grants, self._courier, self._installed = workspace, grants, courier, installed
        self._suggested: dict[tuple[str, str, str], list[Json]] = {}

    def _begin(self, user_id: str, what: str) -> Interaction:
        if user_id not in self.workspace.users:
            raise NotPossibleError(f"nobody here is called {user_id}")
        number = self.workspace.next_number()
        return Interaction(f"#{number} {what} by {user_id}", user_id, self.workspace, number)

    async def command(self, user_id: str, channel_id: str, command: str, text: str = "") -> Interaction:
        """Type a slash command in a channel."""
        if not self._installed.has_command(command):
            raise NotPossibleError(f"{command} is not a command of this app")
        done = self._begin(user_id, command)
        channel = self.workspace.channels[channel_id]
        if not channel.holds(user_id):
            raise NotPossibleError(f"{user_id} is not in {channel_id}")
        payload = payloads.slash_command(self.workspace, user_id, channel, command, text.strip())
        payload["response_url"] = self._grants.response_url("commands", user_id, channel_id, done.id)
        payload["trigger_id"] = self._grants.trigger(user_id, done.id)
        settle(done, await self._courier.deliver("slash_commands", payload))
        if done.error is None and done.ack is not None:
            self._show_command_answer(done, channel_id)
        return done

    def _show_command_answer(self, done: Interaction, channel_id: str) -> None:
        address = ResponseAddress(done.user_id, channel_id, done.id, None, self.workspace.clock())
        answer = done.ack if isinstance(done.ack, dict) else {"text": str(done.ack)}
        try:
            show_response(self.workspace, address, answer)
        except SlackError as error:
            done.error = error.code
            self.workspace.problem(f"{done.id}: answer refused: {error.code} {'; '.join(error.messages)}")

    async def press(
        self,
        user_id: str,
        surface: Surface,
        action_id: str,
        *,
        value: str | None = None,
        block_id: str | None = None,
        confirm: bool = True,
        stale: bool = False,
    ) -> Interaction:
        """Press a button; `value` says which, if several have that action id.

        Args:
            user_id: who presses.
            surface: the message or view that the button is in.
            action_id: the button's.
            value: the button's value, where several share the action id.
            block_id: the block it stands in, where even the values are the same.
            confirm: what the person answers if the button asks for confirmation.
            stale: press in the given copy as it was, as in a window that has not been refreshed.
        """
        shown = surface if stale else visible(self.workspace, user_id, surface)
        found = find_elements(shown, action_id, {"button"}, block_id)
        if value is not None:
            found = [each for each in found if each.element.get("value") == value]
        one = the_one(found, shown, action_id)
        action: Json = {"type": "button", "text": one.element["text"]}
        action |= {name: one.element[name] for name in ("value", "url", "style") if name in one.element}
        return await self._act(user_id, one, action, confirm=confirm)

    async def select(
        self,
        user_id: str,
        surface: Surface,
        action_id: str,
        option: Given,
        *,
        block_id: str | None = None,
        confirm: bool = True,
    ) -> Interaction:
        """Choose in a select, an overflow menu, checkboxes or a picker; options go by value or by text."""
        shown = visible(self.workspace, user_id, surface)
        one = the_one(find_elements(shown, action_id, None, block_id), shown, action_id)
        if one.element["type"] == "overflow":
            action: Json = {"type": "overflow", "selected_option": option_named(all_options(one.element), option)}
            return await self._act(user_id, one, action, confirm=confirm)
        state = fill_in(one.element, option, self._suggested.get(one.key, []))
        if confirm or "confirm" not in one.element:
            self._keep(one, state)
        if one.block["type"] == "input" and not one.block.get("dispatch_action"):
            done = self._begin(user_id, f"choice in {action_id}")
            done.sent = False
            return done
        return await self._act(user_id, one, state, confirm=confirm)

    async def _act(self, user_id: str, one: Found, action: Json, *, confirm: bool) -> Interaction:
        action_id, surface = one.element["action_id"], one.surface
        done = self._begin(user_id, f"action {action_id}")
        if not self._installed.is_interactive():
            raise NotPossibleError("the app's manifest has interactivity switched off")
        if "confirm" in one.element and not confirm:
            done.sent = False
            return done
        action = {"block_id": one.block["block_id"], "action_id": action_id, **action}
        payload = payloads.block_actions(self.workspace, user_id, surface, action)
        in_modal = isinstance(surface, View) and surface.kind == "modal"
        payload["trigger_id"] = self._grants.trigger(user_id, done.id, in_modal=in_modal)
        if isinstance(surface, Message):
            payload["response_url"] = self._response_url(user_id, surface, done)
        settle(done, await self._courier.deliver("interactive", payload))
        if done.ack is not None and done.error is None:
            self.workspace.problem(f"{done.id}: Slack ignores an answer in this acknowledgement: {done.ack!r}")
        return done

    def _response_url(self, user_id: str, message: Message, done: Interaction) -> str:
        try:
            original = self.workspace.find_message(message.channel, message.ts)
        except SlackError:
            original = None
        return self._grants.response_url("actions", user_id, message.channel, done.id, original)

    def fill(self, user_id: str, view: View, action_id: str, given: Given, block_id: str | None = None) -> None:
        """Fill in one input of a modal; nothing is sent until it is submitted."""
        shown = visible(self.workspace, user_id, view)
        one = the_one(find_elements(shown, action_id, None, block_id), shown, action_id)
        self._keep(one, fill_in(one.element, given, self._suggested.get(one.key, [])))

    def _keep(self, one: Found, state: Json) -> None:
        one.surface.state.setdefault(one.block["block_id"], {})[one.element["action_id"]] = state
        self.workspace.touch()

    async def submit(self, user_id: str, view: View, values: Mapping[str, Given] | None = None) -> Interaction:
        """Fill in a modal's inputs, by action id, and press its submit button."""
        shown = visible(self.workspace, user_id, view)
        if not isinstance(shown, View) or "submit" not in shown.content:
            raise NotPossibleError("this window has no submit button")
        for action_id, given in (values or {}).items():
            self.fill(user_id, view, action_id, given)
        self._check_complete(shown)
        done = self._begin(user_id, f"submission of {shown.callback_id or shown.title}")
        payload = payloads.view_event(self.workspace, shown, "view_submission")
        payload["trigger_id"] = self._grants.trigger(user_id, done.id, in_modal=True)
        payload["response_urls"] = self._asked_response_urls(shown, done)
        settle(done, await self._courier.deliver("interactive", payload))
        settle_submission(done, shown)
        return done

    def _asked_response_urls(self, view: View, done: Interaction) -> list[Json]:
        values, urls = values_of(view), list[Json]()
        for block in view.blocks:
            element = block.get("element", {})
            if not element.get("response_url_enabled"):
                continue
            state = values[block["block_id"]][element["action_id"]]
            channel = state.get("selected_conversation") or state.get("selected_channel")
            if channel:
                url = self._grants.response_url("actions", view.user_id, channel, done.id)
                place = {"block_id": block["block_id"], "action_id": element["action_id"]}
                urls.append({**place, "channel_id": channel, "response_url": url})
        return urls

    def _check_complete(self, view: View) -> None:
        values = values_of(view)
        for block in view.blocks:
            if block["type"] != "input" or block.get("optional"):
                continue
            element = block["element"]
            if is_empty(element, values[block["block_id"]][element["action_id"]]):
                raise NotPossibleError(f"{block['label']['text']!r} ({element['action_id']}) must be filled in")

    async def close(self, view: View) -> Interaction:
        """Close a modal without submitting it."""
        shown = visible(self.workspace, view.user_id, view)
        if not isinstance(shown, View) or shown.kind != "modal":
            raise NotPossibleError("only a modal can be closed")
        done = self._begin(shown.user_id, f"closing of {shown.callback_id or shown.title}")
        self.workspace.close_views(shown.user_id, only_top=not shown.content.get("clear_on_close"))
        if shown.content.get("notify_on_close"):
            payload = payloads.view_event(self.workspace, shown, "view_closed")
            settle(done, await self._courier.deliver("interactive", payload))
        else:
            done.sent = False
        return done

    async def shortcut(self, user_id: str, callback_id: str, message: Message) -> Interaction:
        """Choose a message shortcut from a message's menu."""
        if not self._installed.has_shortcut(callback_id, "message"):
            raise NotPossibleError(f"{callback_id} is not a message shortcut of this app")
        shown = visible(self.workspace, user_id, message)
        if not isinstance(shown, Message) or shown.ephemeral_to is not None:
            raise NotPossibleError("a message that only one person sees has no shortcuts")
        done = self._begin(user_id, f"shortcut {callback_id}")
        payload = payloads.message_shortcut(self.workspace, user_id, callback_id, shown)
        payload["trigger_id"] = self._grants.trigger(user_id, done.id)
        payload["response_url"] = self._grants.response_url("actions", user_id, shown.channel, done.id)
        settle(done, await self._courier.deliver("interactive", payload))
        return done

    async def suggest(
        self, user_id: str, surface: Surface, action_id: str, query: str, *, block_id: str | None = None
    ) -> list[Json]:
        """Type into an external select; the options that the app offers, none if it fails."""
        shown = visible(self.workspace, user_id, surface)
        kinds = {"external_select", "multi_external_select"}
        one = the_one(find_elements(shown, action_id, kinds, block_id), shown, action_id)
        if len(query) < one.element.get("min_query_length", DEFAULT_QUERY_LENGTH):
            raise NotPossibleError("Slack asks the app only after min_query_length characters")
        if not self._installed.loads_options():
            raise NotPossibleError("over HTTP, external selects need message_menu_options_url in the manifest")
        asked_in = one.block["block_id"]
        payload = payloads.block_suggestion(self.workspace, user_id, shown, asked_in, action_id, query)
        done = self._begin(user_id, f"search {query!r} in {action_id}")
        settle(done, await self._courier.deliver("interactive", payload))
        if done.error is None and (complaints := check_suggestions(done.ack)):
            self.workspace.problem(f"{done.id}: options refused: {'; '.join(complaints)}")
            done.error = "invalid_options"
        offered = [] if done.error else all_options(done.ack)
        self._suggested[one.key] = offered
        return offered

    async def open_home(self, user_id: str) -> Interaction:
        """Open the app's home tab."""
        if not self._installed.hears("app_home_opened"):
            raise NotPossibleError("the app's manifest does not subscribe to app_home_opened")
        done = self._begin(user_id, "home tab")
        event = payloads.home_opened(self.workspace, user_id)
        settle(done, await self._send_event(event, f"Ev{done.since:08d}"))
        return done

    async def uninstall(self, user_id: str) -> None:
        """Remove the app from the workspace; what it subscribed to of that it is told."""
        for event in (payloads.bot_token_revoked(), payloads.uninstalled()):
            if self._installed.hears(event["type"]):
                done = self._begin(user_id, event["type"])
                settle(done, await self._send_event(event, f"Ev{done.since:08d}"))

    async def _send_event(self, event: Json, event_id: str) -> Answer:
        payload = payloads.event_callback(self.workspace, event, event_id)
        answer = await self._courier.deliver("events_api", payload)
        for number, delay in enumerate(EVENT_RETRY_DELAYS, start=1):
            if answer.status is not None and 200 <= answer.status < 300:
                break
            await asyncio.sleep(delay)
            reason = "http_timeout" if answer.status is None else "http_error"
            retry = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason}
            answer = await self._courier.deliver("events_api", payload, retry)
        return answer

    async def verify_events_url(self) -> bool:
        """Ask the app's address for the challenge, as Slack does when the address is set."""
        challenge = f"challenge-{self.workspace.next_number()}"
        asked = {"token": payloads.VERIFICATION, "challenge": challenge, "type": "url_verification"}
        body = json.dumps(asked).encode()
        answer = await self._courier.post(body, {"Content-Type": "application/json", **self.sign(body)})
        parsed = parse_body(answer.body)
        given = parsed.get("challenge") if isinstance(parsed, dict) else parsed
        return answer.status == 200 and given == challenge

    async def say(self, user_id: str, channel_id: str, text: str) -> Message:
        """Write an ordinary message, as people do."""
        self._begin(user_id, "message")
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        number, ts = self.workspace.next_number(), self.workspace.next_ts()
        message = Message(channel_id, ts, escaped, [], user_id, number, by_app=False)
        return self.workspace.add_message(message)

    def sign(self, body: bytes, *, timestamp: int | None = None, secret: str | None = None) -> dict[str, str]:
        """Signature headers for `send_raw`; another timestamp (Unix seconds) or secret makes a forgery."""
        return self._courier.sign(body, timestamp=timestamp, secret=secret)

    async def send_raw(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send any bytes with any headers to the app, as strangers on the internet can."""
        return await self._courier.post(body, headers)
