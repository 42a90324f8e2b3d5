"""The outside world played locally (Slack, Stripe, a mailbox) for the demo and the tests."""
