"""The chat page in a real Chromium: a command, a confirmed button, a search, a window with a complaint."""

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright
from slack_bolt.async_app import AsyncAck

from tests.sandbox.slack_kit import GENERAL, Json, actions, button, club, modal, plain, section, text_input

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
CONFIRM = {"title": plain("Sure?"), "text": plain("42 mails"), "confirm": plain("Send"), "deny": plain("Wait")}


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("there is no `chromium` on this machine's PATH")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.mark.browser
async def test_the_page_can_be_clicked_through(browser: Browser) -> None:
    async with club() as here:

        @here.app.command("/blast")
        async def blast(ack: AsyncAck) -> None:
            name = section("*Zoë* &lt;b&gt; &amp; <https://example.com|her page>")
            search = {"type": "external_select", "action_id": "player_search", "min_query_length": 1}
            await ack(text="x", blocks=[name, actions(button("go", "Write", confirm=CONFIRM), search)])

        @here.app.action("go")
        async def go(ack: AsyncAck, body: Json) -> None:
            await ack()
            view = modal(text_input("note"), submit=plain("Ask"), callback_id="form")
            await here.client.views_open(trigger_id=body["trigger_id"], view=view)

        @here.app.options("player_search")
        async def search(ack: AsyncAck) -> None:
            await ack(options=[{"text": plain("Jaxon Reed"), "value": "1"}])

        @here.app.action("player_search")
        async def picked(ack: AsyncAck, action: Json) -> None:
            await ack()
            await here.client.chat_postMessage(
                channel=GENERAL, text=f"picked {action['selected_option']['value']}"
            )

        @here.app.view("form")
        async def form(ack: AsyncAck, view: Json) -> None:
            if view["state"]["values"]["note_block"]["note"]["value"] == "hi":
                await ack(response_action="errors", errors={"note_block": "Say a little more."})
            else:
                await ack()

        page = await browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        await page.goto(f"{here.slack.base_url}/#{GENERAL}")
        await page.fill("#typed", "/blast")
        await page.press("#typed", "Enter")
        shown = page.locator(".ephemeral")
        assert "Only visible to you" in await shown.inner_text()
        assert "Zoë <b> & her page" in await shown.inner_text()
        await shown.locator("input[type=search]").fill("ja")
        await page.click("text=Jaxon Reed")
        await page.wait_for_selector("text=picked 1")
        await page.click("text=Write")
        await page.click("#confirm >> text=Send")
        await page.fill("#modal input", "hi")
        await page.click("#modal >> text=Ask")
        await page.wait_for_selector("text=Say a little more.")
        assert await page.input_value("#modal input") == "hi"
        await page.fill("#modal input", "Please pay")
        await page.click("#modal >> text=Ask")
        await page.wait_for_selector("#modal[open]", state="detached")
        assert (wrong, here.slack.problems) == ([], [])
