"""The errors that people are meant to read.

Each door (Slack, HTTP, terminal) maps these once; anything else is a bug or an outage, is logged with a
reference, and shows that reference. Messages are one line and say what to do.
"""

from collections.abc import Sequence


class SidelineError(Exception):
    """Base of every expected failure; `str(error)` is a sentence for the person who asked.

    `people` are the ids in it that stand for people, as the audit log has them: a door may name them better.
    """

    def __init__(self, message: str, *, people: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.people = tuple(people)


class SettingsError(SidelineError):
    """A setting is missing or malformed."""


class SchemaOutdatedError(SidelineError):
    """The database's schema is not the one that this version of the program needs."""


class NotFoundError(SidelineError):
    """What was asked for does not exist, or is another club's."""


class NotAllowedError(SidelineError):
    """The person may not do this."""


class InvalidInputError(SidelineError):
    """What was typed or sent can't be used."""


class WrongFieldError(InvalidInputError):
    """One field of a form can't be used; `field` is its name, so that the words can stand beside it."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class AlreadyDoneError(SidelineError):
    """Somebody or something else was first; the message says who."""


class OverlapError(AlreadyDoneError):
    """Another blast reached some of the same families first; this one still waits as it was."""


class NotPayableError(SidelineError):
    """An order can't be paid now: paid, canceled, on its way, or its contract is not signed.

    `reason` is one of the members of `core.payment_links.Obstacle`.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class StripeUnavailableError(SidelineError):
    """Stripe did not answer, or asked to come back later. Worth another try."""


class StripeRefusedError(SidelineError):
    """Stripe understood and said no. Trying again won't help."""


class StripeUnknownIdError(StripeRefusedError):
    """Stripe has nothing of this id: another account's, another mode's, or never made."""


class MailDeferredError(SidelineError):
    """The mail server refused for now, or was out of reach. Worth another try."""


class MailRefusedError(SidelineError):
    """The mail server refused for good; the message holds its words."""


class AddressRefusedError(MailRefusedError):
    """Mail can't go to this address at all, whoever sends it: somebody has to ask the family for another."""


class MailUncertainError(SidelineError):
    """The connection broke after the mail was handed over: it may have been accepted."""


class SlackUnavailableError(SidelineError):
    """Slack did not answer, or asked to come back later. Worth another try."""
