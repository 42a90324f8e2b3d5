"""Slack's door: commands, buttons, modals, home tab and notices."""
