"""Jinja2 templates: e-mail and pages."""
