"""A made-up service account, its key generated on the spot."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An account with a key; `write` makes the file that Google's console would give out."""

    email: str = "sideline@made-up-project.iam.gserviceaccount.test"
    key_id: str = "made-up-key"
    key: rsa.RSAPrivateKey = field(default_factory=_new_key)

    def write(self, file: Path, token_uri: str) -> Path:
        """Write the account's key file and return its path."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        content = {
            "type": "service_account",
            "project_id": "made-up-project",
            "private_key_id": self.key_id,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": "100000000000000000000",
            "token_uri": token_uri,
        }
        file.write_text(json.dumps(content), encoding="ascii")
        return file
