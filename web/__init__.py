"""HTTP's door: Stripe's webhook, Slack's endpoint, the admin endpoint, parents' pages, health and metrics."""
