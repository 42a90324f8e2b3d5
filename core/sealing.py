"""Encrypts the few secrets that have to be in the database, with keys made from `SECRET_KEY`."""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import SettingsError

_PURPOSE = b"sideline: tokens in the database"


class Sealer:
    """Encrypts with the first of `SECRET_KEY`'s keys, and decrypts what any of them encrypted."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in keys])

    def seal(self, secret: str) -> str:
        """Return the secret encrypted."""
        return self._fernet.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the secret.

        Raises:
            SettingsError: where none of the keys encrypted it.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SettingsError(
                "SECRET_KEY: a token in the database is encrypted with another key; add the old one after a comma"
            ) from None


def _derived(key: str) -> bytes:
    """Make a key of the right length that is of no use elsewhere (RFC 5869)."""
    material = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
    return base64.urlsafe_b64encode(material)
