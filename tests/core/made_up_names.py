"""Invented players of realistic variety: common and rare names, double names, accents, names spelt many ways."""

import random

FIRST = """
Jaxon Jackson Jaxson Emma Olivia Liam Noah Ava Sophia Mason Logan Lucas Ethan Aiden Ayden Caden Kayden
Mia Ella Isabella William Robert Elizabeth Katherine Catherine Kathryn Michael James Benjamin Samuel
Daniel Matthew Anthony Antony Joseph Joshua Christopher Nicholas Nicolas Alexander Alexandra Jonathan
Nathaniel Zachary Jacob Jeffrey Geoffrey Sean Shawn Shaun Steven Stephen Phillip Philip Brian Bryan Eric
Erik Sara Sarah Hannah Hanna Kaitlyn Caitlin Katelyn Makayla Mikayla Michaela Zoë Chloé José André Renée
Siân Łukasz Søren Anaïs Noël Jürgen Françoise Mary-Kate D'Andre De'Shawn Abigail Madison Addison Brooklyn
Riley Rylee Reilly Peyton Payton Harper Evelyn Aubrey Margaret Eleanor Victoria Theodore Frederick
Gabriel Gabrielle Rebecca Rachel Rachael Allison Alison Thomas Timothy Tobias
"""
LAST = """
Smith Smyth Johnson Johnston Williams Brown Jones Garcia Miller Davis Rodriguez Martínez Hernández López
González Wilson Anderson Andersen Thomas Taylor Moore Martin Lee Perez Thompson White Harris Sanchez
Clark Clarke Ramirez Lewis Robinson Walker Young Allen King Wright Scott Torres Nguyen Hill Flores Green
Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts O'Brien O'Connor McDonald MacDonald Reed
Reid Read Stewart Stuart Meyer Meier Myers Schmidt Schmitt Smith-Jones Müller Strauß Kowalski Đorđević
Nuñez Peña Sørensen Núñez Castillo Fitzgerald Vandermeer Gutierrez
"""
STARTS = """
b br c ch cl d dr f fl g gr h j k kr l m n p pr r s sh st t tr v w z
"""
VOWELS = """
a e i o u ai ea ee ia ou
"""
ENDS = """
n r s l t ck nd rt m x th son ley ton man well
"""


def _invented(rng: random.Random) -> str:
    syllables = (rng.choice(STARTS.split()) + rng.choice(VOWELS.split()) for _ in range(rng.choice((1, 2, 2))))
    return ("".join(syllables) + rng.choice(ENDS.split())).capitalize()


def made_up_players(number: int, *, seed: int) -> list[tuple[str, str]]:
    """Return `number` first and last names; about half of the names are common ones, as in a real club."""
    rng = random.Random(seed)
    rare_first = [_invented(rng) for _ in range(max(20, number // 40))]
    rare_last = [_invented(rng) for _ in range(max(50, number // 8))]

    def last_name() -> str:
        name = rng.choice(LAST.split() if rng.random() < 0.5 else rare_last)
        return f"{name} {rng.choice(rare_last)}" if rng.random() < 0.03 else name

    return [(rng.choice(FIRST.split() if rng.random() < 0.6 else rare_first), last_name()) for _ in range(number)]
