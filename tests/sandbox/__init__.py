"""The local stand-ins of the outside world, held to what the real services do."""
