"""The words of the page that a pay link shows where the item can't be paid, by what stands in the way."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.payment_links import Obstacle


@dataclass(frozen=True, slots=True)
class Words:
    """A page's title, its sentence about the item (`{item}`), and what to do."""

    title: str
    sentence: str
    advice: str


WORDS: Mapping[Obstacle, Words] = {
    Obstacle.PAID: Words(
        "Already paid. Thank you!",
        "{item} is paid.",
        "There is nothing more to do.",
    ),
    Obstacle.PROCESSING: Words(
        "Your bank payment is on its way",
        "A bank payment for {item} was started. Banks take a few days.",
        "There is nothing more to do; please don't pay it again.",
    ),
    Obstacle.CANCELED: Words(
        "Nothing to pay here any more",
        "Your club took {item} off the list.",
        "You don't need to pay it. If that surprises you, please ask your club.",
    ),
    Obstacle.REFUNDED: Words(
        "This payment was given back",
        "{item} was paid, and your club sent money back.",
        "You don't need to pay it again. If that surprises you, please ask your club.",
    ),
    Obstacle.DISPUTED: Words(
        "Your bank is looking into this payment",
        "{item} was paid, and your bank was asked to check that payment.",
        "Please don't pay it again. Your club can tell you more.",
    ),
    Obstacle.CONTRACT: Words(
        "One step comes first",
        "{item} can be paid once the contract with your club is signed.",
        "Please sign the contract, then open this same link again.",
    ),
}
