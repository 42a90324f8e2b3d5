r"""Names as the search sees them: without case, accents and punctuation.

`sideline_fold` in the database does the same to the names it stores; a test compares the two. Both
use these tables and not the runtime's idea of letters, which differs between servers and versions.
"""

import re
import unicodedata
from functools import lru_cache

# First and last capital, step, and how far away the small letter is: Greek, Cyrillic, Armenian.
_CAPITALS = (
    (0x0391, 0x03A9, 1, 32),
    (0x0400, 0x040F, 1, 80),
    (0x0410, 0x042F, 1, 32),
    (0x048A, 0x04BE, 2, 1),
    (0x04D0, 0x052E, 2, 1),
    (0x0531, 0x0556, 1, 48),
)
_FOLDED_LETTERS = (
    {code: code + away for first, last, step, away in _CAPITALS for code in range(first, last + 1, step)}
    | {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
    # Letters that have no decomposition, beside what people without that key type.
    | str.maketrans("ØøŁłĐđÐðıĦħŦŧŊŋƏəς", "oollddddihhttnnəəσ")  # noqa: RUF001 - a Greek letter is meant
    | dict.fromkeys(map(ord, "ẞß"), "ss")
    | dict.fromkeys(map(ord, "Ææ"), "ae")
    | dict.fromkeys(map(ord, "Œœ"), "oe")
    | dict.fromkeys(map(ord, "Þþ"), "th")
)

# Combining marks, apostrophes, full stops and invisible joiners: what stands around them stays one word.
_DROPPED = re.compile(
    r"['.`\u00AD\u02B9-\u02BD\u02C8\u0300-\u036F\u0483-\u0489\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7"
    r"\u0610-\u061A\u064B-\u065F\u0670\u06D6-\u06DC\u06DF-\u06E4\u06E7\u06E8\u06EA-\u06ED"
    r"\u1AB0-\u1AFF\u1DC0-\u1DFF\u200B-\u200F\u2018-\u201B\u2032\u2060\u20D0-\u20FF\u3099\u309A"
    r"\uFE00-\uFE0F\uFE20-\uFE2F\uFEFF\U000E0100-\U000E01EF]+"
)
# Punctuation, symbols, emoji, spaces, control and private characters: what stands around them is two words.
_SEPARATORS = re.compile(
    r"[\u0000-\u002F\u003A-\u0060\u007B-\u00BF\u00D7\u00F7\u02C2-\u02DF\u02E5-\u02FF\u037E\u0387\u03F6\u0482"
    r"\u055A-\u055F\u0589-\u058F\u05BE\u05C0\u05C3\u05C6\u05F3\u05F4\u0600-\u060F\u061B-\u061F\u066A-\u066D"
    r"\u06D4\u06DD\u06DE\u06E9\u0964\u0965\u0E3F\u0E4F\u0E5A\u0E5B\u10FB\u1360-\u1368\u2000-\u206F\u20A0-\u20CF"
    r"\u2100-\u214F\u2190-\u2BFF\u2E00-\u2E7F\u2FF0-\u3004\u3007-\u3020\u3030\u303D-\u303F\u30A0\u30FB"
    r"\uD800-\uF8FF\uFD3E\uFD3F\uFFF0-\uFFFF\U0001F000-\U0001FAFF\U000E0000-\U0010FFFF]+"
)
# It would decompose into a space and a mark, and people type it for an apostrophe.
_ACUTE_AS_APOSTROPHE = "\N{ACUTE ACCENT}"
_LONGEST_WORD = 60


# Whoever is looked up is looked at several times.
@lru_cache(maxsize=2048)
def fold(text: str) -> str:
    """Return a text's words in small plain letters, one space between: `"Zoë O'Brien-Łuk"` is `zoe obrien luk`."""
    decomposed = unicodedata.normalize("NFKD", text.replace(_ACUTE_AS_APOSTROPHE, "")).translate(_FOLDED_LETTERS)
    return _SEPARATORS.sub(" ", _DROPPED.sub("", decomposed)).strip(" ")


def name_words(text: str) -> list[str]:
    """Return the folded words of a text in their order, each at most 60 characters long."""
    return [word[:_LONGEST_WORD] for word in fold(text).split(" ") if word]
