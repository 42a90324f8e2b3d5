"""Google's token endpoint and the one Gmail call that sends, played locally and strictly."""

from sandbox.gmail.key import ServiceAccount
from sandbox.gmail.stand_in import GmailFault, GmailStandIn

__all__ = ["GmailFault", "GmailStandIn", "ServiceAccount"]
