"""Whether a mrkdwn text is safe: `<`, `>` and `&` of people's data must be escaped.

Follows Slack's "Formatting text for app surfaces" (docs.slack.dev/messaging/formatting-message-text): the three
characters are control characters, and a name that carries them unescaped could turn into a link or a mention.
"""

import re

_CONTROL = re.compile(
    r"<(?:"
    r"(?:https?://|mailto:|tel:)[^|<>\s]+(?:\|[^<>\n]*)?"
    r"|@[UW][A-Z0-9]+(?:\|[^<>]*)?"
    r"|\#C[A-Z0-9]+(?:\|[^<>]*)?"
    r"|!subteam\^S[A-Z0-9]+(?:\|[^<>]*)?"
    r"|!date\^\d+\^[^<>|]+\|[^<>]+"
    r")>"
)
_LABEL = re.compile(r"\|([^<>]*)>$")
_BROADCAST = re.compile(r"<!(?:channel|here|everyone)(?:\|[^>]*)?>")
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")


def unsafe_parts(text: str) -> list[str]:
    """What in a mrkdwn text is not plain, escaped or a known control form; empty when all is well."""
    found = [f"mentions everybody: {match[0]}" for match in _BROADCAST.finditer(text)]
    labels = [label[1] for match in _CONTROL.finditer(text) if (label := _LABEL.search(match[0]))]
    outside = _BROADCAST.sub("", _CONTROL.sub("", text))
    for rest in (outside, *labels):
        found += [f"unescaped {each} in {_excerpt(rest, rest.index(each))}" for each in "<>" if each in rest]
        if match := _BARE_AMPERSAND.search(rest):
            found.append(f"unescaped & in {_excerpt(rest, match.start())}")
    return found


def _excerpt(text: str, position: int) -> str:
    return repr(text[max(0, position - 20) : position + 20])
