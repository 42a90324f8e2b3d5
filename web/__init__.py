"""HTTP's door: Stripe's webhook, Slack's endpoint, admin, parents' pages, health."""
