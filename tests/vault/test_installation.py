"""The master key is held to the one that the database knows."""

import base64
from uuid import UUID

import pytest

from vault.key_services import TOKEN, running
from visionality.runtime.settings import BadSettings, Settings
from visionality.vault.installation import open_keys
from visionality.vault.keyproviders._service import wrapped
from visionality.vault.keyproviders.env import FILE, MasterKeyMissing
from visionality.vault.purposes import installation_context
from visionality.vault.sealing import Context

OWN = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


def test_an_installation_takes_its_own_master_key_and_no_other(database, tmp_path):
    dsn, words = database.dsn("vis_web"), []
    first = open_keys(Settings(data_dir=tmp_path), dsn, words.append)
    assert len(words) == 1
    again = open_keys(Settings(data_dir=tmp_path), dsn, words.append)
    assert again.secret("x") == first.secret("x")
    assert len(words) == 1

    with pytest.raises(MasterKeyMissing, match="VIS_MASTER_KEY is not the one") as refused:
        open_keys(Settings(data_dir=tmp_path, master_key=OTHER), dsn, words.append)
    assert OTHER not in str(refused.value)

    moved = Settings(data_dir=tmp_path / "elsewhere", master_key=(tmp_path / FILE).read_text())
    assert open_keys(moved, dsn, words.append).secret("x") == first.secret("x")

    (tmp_path / FILE).write_text(OWN)
    with pytest.raises(MasterKeyMissing) as refused:
        open_keys(Settings(data_dir=tmp_path), dsn, words.append)
    assert str(tmp_path / FILE) in str(refused.value)

    (tmp_path / FILE).unlink()
    with pytest.raises(MasterKeyMissing, match="put the file back"):
        open_keys(Settings(data_dir=tmp_path), dsn, words.append)
    assert not (tmp_path / FILE).exists()


@pytest.fixture(scope="module")
def transit(tmp_path_factory):
    with running("transit", tmp_path_factory.mktemp("transit")) as service:
        yield service


def opened(key, tmp_path, dsn):
    settings = Settings(data_dir=tmp_path, key_provider=key.address)
    return open_keys(settings, dsn, pytest.fail, {"VAULT_TOKEN": TOKEN})


def test_an_installation_under_a_key_service_has_the_same_secrets_at_every_start_and_no_file(
    database, tmp_path, transit
):
    """K6."""
    dsn = database.dsn("vis_web")
    with transit.key() as key:
        first = opened(key, tmp_path, dsn)
        key.rotate()
        again = opened(key, tmp_path, dsn)
        assert first.secret("x") == again.secret("x")
        context = Context("org", "kek", "master", 1, "organisation key")
        assert again.unwrap(context, first.wrap(context, bytes(32))) == bytes(32)
    assert list(tmp_path.iterdir()) == []
    with database.as_role("vis_web") as connection:
        stored = connection.execute("select wrapped_root from vis.installation").fetchone()
    assert first._root not in bytes(stored[0])


def test_an_installation_is_not_moved_between_key_providers_by_a_setting(database, tmp_path, transit):
    dsn = database.dsn("vis_web")
    with transit.key() as key, transit.key() as other:
        opened(key, tmp_path, dsn)
        with pytest.raises(MasterKeyMissing, match="cannot be moved"):
            open_keys(Settings(data_dir=tmp_path), dsn, pytest.fail)
        with pytest.raises(MasterKeyMissing, match="cannot be moved"):
            open_keys(Settings(data_dir=tmp_path, master_key=OWN), dsn, pytest.fail)
        with pytest.raises(MasterKeyMissing, match="does not open this installation's root"):
            opened(other, tmp_path, dsn)
    assert list(tmp_path.iterdir()) == []


def test_an_installation_with_a_master_key_of_its_own_takes_no_key_service(database, tmp_path, transit):
    dsn = database.dsn("vis_web")
    open_keys(Settings(data_dir=tmp_path, master_key=OWN), dsn, pytest.fail)
    with transit.key() as key, pytest.raises(MasterKeyMissing, match="unset it"):
        opened(key, tmp_path, dsn)


def test_a_root_that_was_put_in_anothers_place_is_refused(database, tmp_path, transit):
    dsn = database.dsn("vis_web")
    with transit.key() as key:
        opened(key, tmp_path, dsn)
        own = "select installation_id, wrapped_root from vis.installation"
        with database.as_role("vis_web") as connection:
            installation_id, blob = connection.execute(own).fetchone()
        service = key.service()
        forged = wrapped(service, installation_context(installation_id), bytes(32))
        database.run(f"update vis.installation set wrapped_root = '\\x{forged.hex()}'")
        with pytest.raises(MasterKeyMissing, match="restore the row"):
            opened(key, tmp_path, dsn)
        moved = wrapped(service, installation_context(UUID(int=1)), bytes(32))
        for changed in (moved, bytes(blob)[:-1] + bytes([blob[-1] ^ 1]), b"", b"\x14"):
            database.run(f"update vis.installation set wrapped_root = '\\x{changed.hex()}'")
            with pytest.raises(MasterKeyMissing, match="does not open"):
                opened(key, tmp_path, dsn)


def test_two_places_for_the_keys_are_refused(tmp_path):
    both = Settings(data_dir=tmp_path, master_key=OWN, key_provider="aws-kms:alias/a")
    with pytest.raises(BadSettings, match="unset one"):
        open_keys(both, "", pytest.fail)
