"""A strict local mail server with a page to read what came: nothing leaves this machine."""

from sandbox.mailbox.mail import Mail
from sandbox.mailbox.server import Mailbox, MailFault

__all__ = ["Mail", "MailFault", "Mailbox"]
