"""The billing itself: all that would stay the same without Slack, HTTP or a terminal."""
