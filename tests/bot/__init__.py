"""The bot, spoken to as Slack and people do."""
