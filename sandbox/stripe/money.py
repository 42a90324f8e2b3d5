"""Currencies, and how little and how much can be charged (https://docs.stripe.com/currencies)."""

from sandbox.stripe.errors import RefusedError

# The smallest charge, in the currency's smallest unit, where Stripe names one.
LEAST = {
    "aed": 200, "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
CURRENCIES = frozenset(LEAST) | frozenset(
    [
        "afn", "all", "amd", "ang", "aoa", "ars", "awg", "azn", "bam", "bbd", "bdt", "bif", "bmd", "bnd",
        "bob", "bsd", "bwp", "byn", "bzd", "cdf", "clp", "cny", "cop", "crc", "cve", "djf", "dop", "dzd",
        "egp", "etb", "fjd", "fkp", "gel", "gip", "gmd", "gnf", "gtq", "gyd", "hnl", "htg", "idr", "ils",
        "isk", "jmd", "kes", "kgs", "khr", "kmf", "krw", "kyd", "kzt", "lak", "lbp", "lkr", "lrd", "lsl",
        "mad", "mdl", "mga", "mkd", "mmk", "mnt", "mop", "mur", "mvr", "mwk", "mzn", "nad", "ngn", "nio",
        "npr", "pab", "pen", "pgk", "php", "pkr", "pyg", "qar", "rsd", "rub", "rwf", "sar", "sbd", "scr",
        "shp", "sle", "sos", "srd", "std", "szl", "tjs", "top", "try", "ttd", "twd", "tzs", "uah", "ugx",
        "uyu", "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xof", "xpf", "yer", "zar", "zmw",
    ]
)  # fmt: skip
MOST = 99_999_999


def check_currency(currency: str, param: str) -> str:
    """The currency in lower case.

    Raises:
        RefusedError: for one that Stripe doesn't know.
    """
    if currency.lower() not in CURRENCIES:
        raise RefusedError(f"Invalid currency: {currency.lower()}.", param=param)
    return currency.lower()


def check_unit_amount(amount: int, param: str) -> int:
    """The amount, in the currency's smallest unit.

    Raises:
        RefusedError: for one below zero or of more than eight digits.
    """
    if amount < 0:
        raise RefusedError(
            "Invalid non-negative integer: the amount is below zero.",
            code="parameter_invalid_integer",
            param=param,
        )
    if amount > MOST:
        raise RefusedError(
            f"The amount must be no more than {MOST} of the smallest unit.", code="amount_too_large", param=param
        )
    return amount


def check_total(total: int, currency: str, param: str) -> None:
    """Refuse a total that can't be charged.

    Raises:
        RefusedError: too little or too much.
    """
    if total < LEAST.get(currency, 1):
        raise RefusedError(
            f"The total amount due must add up to at least {LEAST.get(currency, 1)} "
            f"of {currency}'s smallest unit.",
            code="amount_too_small",
            param=param,
        )
    if total > MOST:
        raise RefusedError("The total amount due is too large.", code="amount_too_large", param=param)
