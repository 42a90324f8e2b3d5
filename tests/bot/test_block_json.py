"""Our JSON of Block Kit's models is the models' own."""

from datetime import date

import pytest
from slack_sdk.models.blocks import Block

from bot.block_json import blocks_as_json
from bot.blocks import actions, as_typed, button, confirmation, context, divider, fields, header, option, section
from bot.blocks import overflow as menu
from bot.blocks import select as chooser
from bot.form import date_input, text_input
from bot.pick_list import how_to_search, player_search

SURE = confirmation("Sure?", "It goes out at once.", yes="Send", no="Not yet", style="danger")
OPTIONS = [option("One", "1", "the first"), option("Two", "2")]
BLOCKS: list[Block] = [
    header("Jaxon <Reed>"),
    divider(),
    fields({"Team": "U12 Blue", "Contract": "signed"}),
    section("*Owed*", accessory=menu("order_menu", OPTIONS), block_id="one"),
    section("*Owed*", accessory=button("Go", "go", "1", style="primary")),
    as_typed("a\nb"),
    context("small", "print"),
    actions(button("Send", "send", "1.1", confirm=SURE), chooser("Who", "who", OPTIONS), block_id="row"),
    player_search(),
    text_input("why", "Why", hint="in a few words", longest=300),
    date_input("until", "Until", initial=date(2026, 12, 1), hint="and with"),
    *how_to_search(),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.type))
def test_it_is_the_models_own(block: Block) -> None:
    assert blocks_as_json([block]) == [block.to_dict()]
