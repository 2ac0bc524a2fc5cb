"""The contract of KeyProviders over all five (promise K6); tests/vault/key_services.py says what is real of each."""

import json
import os
import sys
from dataclasses import replace

import pytest

from vault import contract
from vault.contract import CONTEXT, KEY
from vault.front import SILENCE
from vault.key_services import SERVICES, running
from visionality.runtime.settings import BadSettings
from visionality.vault.keyproviders import _service
from visionality.vault.keyproviders._core import KeyDisabled, KeysAway
from visionality.vault.keyproviders._service import ServiceKeyProvider, unwrapped, wrapped
from visionality.vault.keyproviders.address import service_at
from visionality.vault.keyproviders.env import EnvKeyProvider
from visionality.vault.sealing import SealBroken

ROOT = bytes(range(32))


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """A service is asked as often as ever, but at once."""
    monkeypatch.setattr(_service, "_PAUSES", (0.0,) * len(_service._PAUSES))


@pytest.fixture(scope="module", params=SERVICES)
def kind(request, tmp_path_factory):
    """One of the key services, running."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as service:
        yield service


@pytest.fixture
def key(kind):
    """A fresh key in it."""
    with kind.key() as fresh:
        yield fresh


@pytest.fixture
def keys(key):
    """The KeyProvider of an installation under this key."""
    return ServiceKeyProvider(key.service(), ROOT)


@pytest.mark.parametrize(
    "check",
    [
        contract.check_round_trip,
        contract.check_moved,
        contract.check_changed,
        contract.check_cut,
        contract.check_cache,
    ],
)
class TestEveryProvider:
    def test_the_environments_key_keeps_the_contract(self, check):
        check(EnvKeyProvider(ROOT))

    def test_a_key_service_keeps_the_contract(self, check, keys):
        check(keys)


def test_the_environments_key_is_always_well():
    assert EnvKeyProvider(ROOT).health() is None


def test_an_installations_secrets_are_the_same_at_every_start_and_are_no_ones_elses(key):
    contract.check_secrets(lambda: EnvKeyProvider(ROOT))
    contract.check_secrets(lambda: ServiceKeyProvider(key.service(), ROOT))
    other = ServiceKeyProvider(key.service(), ROOT[::-1])
    assert other.secret("a") != ServiceKeyProvider(key.service(), ROOT).secret("a")


def test_the_cache_holds_so_many_keys_and_no_more():
    contract.check_cache_is_bounded()


def test_the_root_of_another_installation_opens_nothing(key, keys):
    blob = keys.wrap(CONTEXT, KEY)
    with pytest.raises(SealBroken):
        ServiceKeyProvider(key.service(), ROOT[::-1]).unwrap(CONTEXT, blob)


def test_whoever_may_use_the_service_cannot_put_a_key_of_his_own_in_an_organisations_place(key, keys):
    forged = wrapped(key.service(), CONTEXT, KEY)
    assert unwrapped(key.service(), CONTEXT, forged) == KEY
    with pytest.raises(SealBroken):
        keys.unwrap(CONTEXT, forged)


def test_another_key_of_the_service_opens_nothing(kind, keys):
    blob = keys.wrap(CONTEXT, KEY)
    if keys.name == "aws-kms":
        pytest.skip("a ciphertext names its key, and both keys are ours: that is how an alias moves on")
    with kind.key() as other:
        other_keys = ServiceKeyProvider(other.service(), ROOT)
        with pytest.raises((SealBroken, KeyDisabled)):
            other_keys.unwrap(CONTEXT, blob)


def test_a_record_of_another_provider_is_refused_before_anybody_is_asked(key, keys):
    with pytest.raises(SealBroken, match="was not wrapped by"):
        keys.unwrap(CONTEXT, EnvKeyProvider(ROOT).wrap(CONTEXT, KEY))
    assert key.front.asked == []
    with pytest.raises(SealBroken):
        EnvKeyProvider(ROOT).unwrap(CONTEXT, keys.wrap(CONTEXT, KEY))


def test_a_disabled_key_is_told_as_such_and_asked_for_once(key, keys):
    blob = keys.wrap(CONTEXT, KEY)
    key.disable()
    key.front.asked.clear()
    contract.check_refused(keys, blob, KeyDisabled)
    acts = [asked for asked in key.front.asked if asked.method == "POST"]
    assert len(acts) == 1


def test_a_service_that_throttles_is_asked_again_and_then_told_as_away(key, keys):
    blob = keys.wrap(CONTEXT, KEY)
    key.front.asked.clear()
    key.front.fault = lambda _: key.throttled
    contract.check_refused(keys, blob, KeysAway)
    assert len(key.front.asked) >= 3
    with pytest.raises(KeysAway):
        keys.health()


def test_a_throttle_that_ends_is_survived(key, keys):
    blob = keys.wrap(CONTEXT, KEY)
    before = len(key.front.asked)

    def twice(asked):
        if len(key.front.asked) >= before + 2:
            key.front.fault = None
        return key.throttled

    key.front.fault = twice
    assert keys.unwrap(CONTEXT, blob) == KEY


def test_a_service_that_never_answers_is_away(key, keys):
    blob = keys.wrap(CONTEXT, KEY)
    key.front.fault = lambda _: SILENCE
    contract.check_refused(keys, blob, KeysAway)


def test_a_service_that_is_gone_is_away(kind):
    with kind.key() as key:
        keys = ServiceKeyProvider(key.service(), ROOT)
        blob = keys.wrap(CONTEXT, KEY)
    contract.check_refused(keys, blob, KeysAway)


def test_a_fault_of_the_service_is_away(key, keys):
    blob = keys.wrap(CONTEXT, KEY)
    key.front.fault = lambda _: (503, {"content-type": "text/html"}, b"<html>sorry</html>")
    contract.check_refused(keys, blob, KeysAway)


def test_old_keys_open_after_a_rotation_and_new_ones_are_under_the_new_version(key, keys):
    if key.rotate is None:
        pytest.skip("drongo's keys have one version")
    old = keys.wrap(CONTEXT, KEY)
    key.rotate()
    new = keys.wrap(CONTEXT, KEY)
    assert keys.unwrap(CONTEXT, old) == keys.unwrap(CONTEXT, new) == KEY
    fresh = ServiceKeyProvider(key.service(), ROOT)
    assert fresh.unwrap(CONTEXT, old) == fresh.unwrap(CONTEXT, new) == KEY
    assert version_of(old) != version_of(new)


def test_a_service_is_well_until_its_key_is_disabled(key, keys):
    keys.health()
    key.disable()
    if keys.name == "transit":  # a new version is in use there, and well
        return
    with pytest.raises(KeyDisabled):
        keys.health()


def test_a_service_that_knows_contexts_refuses_another_one_by_itself(key):
    service = key.service()
    if service.name == "azure-key-vault":
        pytest.skip("a vault knows no associated data: the inner seal alone holds the context")
    version, ciphertext = service.encrypt(CONTEXT, KEY)
    assert service.decrypt(CONTEXT, version, ciphertext) == KEY
    with pytest.raises(SealBroken):
        service.decrypt(replace(CONTEXT, org="another"), version, ciphertext)


def test_the_context_holds_without_the_services_help():
    class Forgetful:
        """A service that ignores contexts. Simulated."""

        name, tag = "forgetful", 0x7F

        def encrypt(self, context, local):
            return "1", local

        def decrypt(self, context, version, ciphertext):
            return ciphertext

    keys = ServiceKeyProvider(Forgetful(), ROOT)
    contract.check_round_trip(keys)
    contract.check_moved(keys)


def test_the_layout_is_the_one_that_is_written_down(keys):
    blob = keys.wrap(CONTEXT, KEY)
    tag = {"aws-kms": 0x11, "azure-key-vault": 0x12, "gcp-kms": 0x13, "transit": 0x14}[keys.name]
    assert blob[0] == tag
    assert version_of(blob).isprintable()
    end = 2 + blob[1] + 2 + int.from_bytes(blob[2 + blob[1] : 4 + blob[1]], "big")
    assert len(blob[end:]) == (2 + 4 + 16 + 12 + 16 + 32 + 16) + 16


def test_aws_is_told_ids_and_nothing_else(tmp_path):
    with running("aws-kms", tmp_path) as kind, kind.key() as key:
        ServiceKeyProvider(key.service(), ROOT).wrap(CONTEXT, KEY)
        told = json.loads(key.front.asked[-1].body)["EncryptionContext"]
    assert told == {
        "org": "0190-org",
        "scope": "0190-kek",
        "kek": "master",
        "gen": "1",
        "purpose": "organisation key",
    }


@pytest.mark.parametrize("name", ["plaintextCrc32c", "ciphertextCrc32c", "verifiedPlaintextCrc32c"])
def test_an_answer_of_google_that_was_changed_on_the_way_is_not_taken(tmp_path, name):
    with running("gcp-kms", tmp_path) as kind, kind.key() as key:
        keys = ServiceKeyProvider(key.service(), ROOT)
        blob = keys.wrap(CONTEXT, KEY)

        def changed(asked):
            status, headers, body = key.front.answer(asked)
            answer = json.loads(body)
            if name in answer:
                answer[name] = False if answer[name] is True else str(int(answer[name]) ^ 1)
            return status, headers, json.dumps(answer).encode()

        key.front.fault = changed
        with pytest.raises(KeysAway, match="changed on the way"):
            keys.unwrap(CONTEXT, blob) if name.startswith("plaintext") else keys.wrap(CONTEXT, KEY)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("vault:https://x", "expected one of aws-kms, azure-key-vault, gcp-kms, transit"),
        ("", "expected one of"),
        ("aws-kms:", "expected aws-kms:<ARN"),
        ("aws-kms:my key", "expected aws-kms:<ARN"),
        ("aws-kms:alias/a?zone=x", "'zone' is no option"),
        ("aws-kms:alias/a?endpoint=http://kms.example", "keys go to an https:// address only"),
        ("aws-kms:alias/a?endpoint=http://127.0.0.1:x", "is no address of a server"),
        ("azure-key-vault:http://v.vault.azure.net/keys/k", "expected azure-key-vault:https://"),
        ("azure-key-vault:https://v.vault.azure.net/secrets/k", "expected azure-key-vault:https://"),
        ("azure-key-vault:https://v.vault.azure.net/keys/k/latest", "expected azure-key-vault:https://"),
        ("gcp-kms:projects/p/cryptoKeys/k", "expected gcp-kms:projects/"),
        ("gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k?region=x", "'region' is no option"),
        ("transit:https://bao.example:8200/transit", "expected transit:https://"),
        ("transit:http://bao.example:8200/transit/k", "keys go to an https:// address only"),
        ("transit:http://127.0.0.1@evil.example/transit/k", "expected transit:https://"),
    ],
)
def test_a_bad_address_is_told_with_what_was_expected(address, sentence):
    with pytest.raises(BadSettings, match="VIS_KEY_PROVIDER=") as bad:
        service_at(address, {"VAULT_TOKEN": "t"})
    assert sentence in str(bad.value)


def test_a_missing_token_is_asked_for_by_name():
    with pytest.raises(BadSettings, match="BAO_TOKEN or VAULT_TOKEN"):
        service_at("transit:https://bao.example:8200/transit/k", {})


@pytest.mark.parametrize(
    ("address", "module", "extra"),
    [
        ("aws-kms:alias/a", "boto3", "aws"),
        ("azure-key-vault:https://v.vault.azure.net/keys/k", "azure.identity", "azure"),
        ("gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k", "google.cloud.kms_v1", "gcp"),
    ],
)
def test_a_missing_extra_is_told_with_the_command_that_brings_it(monkeypatch, address, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadSettings) as bad:
        service_at(address, os.environ)
    assert f"pip install 'visionality[{extra}]'" in str(bad.value)


def version_of(blob: bytes) -> str:
    return blob[2 : 2 + blob[1]].decode()
