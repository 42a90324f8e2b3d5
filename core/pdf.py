"""PDFs, made by typst from templates. What people typed reaches a template as data, never as its markup."""

import asyncio
from dataclasses import asdict
from importlib.resources import files
from typing import Final

import orjson
import typst

from core.statement_page import StatementPage

# Each takes a core for some hundredths of a second; more at once would only wait for each other.
_AT_ONCE = 2
# Tagged for screen readers (https://pdfa.org/resource/iso-14289-pdfua/).
_ACCESSIBLE: Final = "ua-1"


class PdfMaker:
    """Makes PDFs in threads of their own, a few at once."""

    def __init__(self) -> None:
        self._statement = files("templates").joinpath("pdf/statement.typ").read_bytes()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def statement(self, page: StatementPage) -> bytes:
        """Return a statement as US letter pages."""
        data = orjson.dumps(asdict(page)).decode()
        async with self._slots:
            return await asyncio.to_thread(_compile, self._statement, data)


def _compile(template: bytes, data: str) -> bytes:
    inputs = {"data": data}
    try:
        return typst.compile(template, format="pdf", sys_inputs=inputs, pdf_standards=_ACCESSIBLE)
    except typst.TypstError:
        # The standard refuses letters that no font on this machine has (say, 李); a PDF with a blank box for one
        # of them is better than none. It is tagged all the same.
        return typst.compile(template, format="pdf", sys_inputs=inputs)
