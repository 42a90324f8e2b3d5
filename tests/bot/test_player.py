from tests.bot.conftest import COACH, GENERAL, Club


async def test_one_match_shows_the_family(club: Club) -> None:
    done = await club.slack.command(COACH, GENERAL, "/player", "jaxon")
    assert done.error is None
    assert "Jaxon Reed" in done.text
    assert "$150.00" in done.text
