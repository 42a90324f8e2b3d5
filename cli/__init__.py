"""The operator's door: `sideline …`, and the one place that puts a running process together."""
