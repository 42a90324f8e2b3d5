"""Reads a signed request for a token, and says what Google would say against it.

Follows RFC 7523 (JWT bearer grants), RFC 7515 (RS256) and
https://developers.google.com/identity/protocols/oauth2/service-account.
"""

import json
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST_LIFE = 3600
# How far a clock may be off.
SKEW = 60


class GrantError(Exception):
    """A refused request: OAuth's word for it, and Google's sentence."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def read_assertion(assertion: str, *, key: RSAPublicKey, key_id: str) -> dict[str, Any]:
    """Return the claims of an assertion that this key signed.

    Raises:
        GrantError: otherwise.
    """
    try:
        head, claims, signature = assertion.split(".")
        header = json.loads(_decoded(head))
        if header.get("alg") != "RS256" or header.get("typ", "JWT") != "JWT" or header.get("kid") != key_id:
            raise GrantError("invalid_grant", "Invalid JWT header.")
        key.verify(_decoded(signature), f"{head}.{claims}".encode("ascii"), PKCS1v15(), SHA256())
        told = json.loads(_decoded(claims))
    except InvalidSignature:
        raise GrantError("invalid_grant", "Invalid JWT Signature.") from None
    except (ValueError, Base64Error):
        raise GrantError("invalid_grant", "Invalid JWT.") from None
    if not isinstance(told, dict):
        raise GrantError("invalid_grant", "Invalid JWT.")
    return told


def check_times(claims: dict[str, Any], now: float) -> None:
    """See that an assertion is of now and short-lived.

    Raises:
        GrantError: otherwise.
    """
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float) or not isinstance(expires, int | float):
        raise GrantError("invalid_grant", "Invalid JWT: iat and exp are needed.")
    if expires <= now or issued > now + SKEW or expires - issued > LONGEST_LIFE or expires <= issued:
        raise GrantError(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
        )
