"""The API's resources, each with its endpoints."""
