"""The master key is held to the one that the database knows."""

import base64

import pytest

from visionality.runtime.settings import Settings
from visionality.vault.installation import open_keys
from visionality.vault.keyproviders.env import FILE, MasterKeyMissing

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
