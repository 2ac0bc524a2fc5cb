import base64
import os
import stat

import pytest

from visionality.vault.keyproviders import env
from visionality.vault.keyproviders.env import EnvKeyProvider, MasterKeyMissing, from_data_dir, from_text
from visionality.vault.purposes import FINGERPRINT, HANDLE_PEPPER, WEB_SESSIONS
from visionality.vault.sealing import Context, SealBroken

MASTER = bytes(range(32))
TEXT = base64.b64encode(MASTER).decode()
CONTEXT = Context("org", "scope", "master", 1, "organisation key")


def made_in(folder):
    words = []
    return from_data_dir(folder, may_make=True, report=words.append), words


def test_a_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path):
    folder = tmp_path / "data"
    keys, words = made_in(folder)
    path = folder / env.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [each.name for each in folder.iterdir()] == [env.FILE]
    assert len(base64.b64decode(path.read_text())) == 32
    assert len(words) == 1
    assert str(path) in words[0]
    assert path.read_text().strip() not in words[0]
    assert keys.secret("x") == from_text(path.read_text()).secret("x")


def test_a_later_start_takes_the_same_key_and_says_nothing(tmp_path):
    first, _ = made_in(tmp_path)
    second, words = made_in(tmp_path)
    assert second.unwrap(CONTEXT, first.wrap(CONTEXT, MASTER)) == MASTER
    assert words == []


def test_a_second_process_that_comes_late_takes_the_key_of_the_first(tmp_path):
    first, _ = made_in(tmp_path)
    env._make(tmp_path / env.FILE)
    assert made_in(tmp_path)[0].secret("x") == first.secret("x")
    assert [each.name for each in tmp_path.iterdir()] == [env.FILE]


def test_a_crash_before_the_key_stands_leaves_no_half_key(tmp_path):
    (tmp_path / f"{env.FILE}.{os.getpid()}").write_text("half")
    made_in(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [env.FILE]


def test_a_key_that_is_gone_is_missed_and_not_replaced(tmp_path):
    with pytest.raises(MasterKeyMissing, match="put the file back"):
        from_data_dir(tmp_path, may_make=False, report=print)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds 0 bytes, expected 32"),
        (TEXT[:-4], "holds 30 bytes, expected 32"),
        (base64.b64encode(MASTER + b"x").decode(), "holds 33 bytes, expected 32"),
        ("not base64!", "is not base64"),
        (TEXT.replace("A", "ä"), "is not base64"),
        (TEXT[:20] + "\n" + TEXT[20:], "is not base64"),
        (base64.b64encode(bytes(32)).decode(), "is no random key"),
        (base64.b64encode(b"\xff" * 32).decode(), "is no random key"),
        (base64.b64encode(b"abcabcab" * 4).decode(), "is no random key"),
    ],
)
def test_a_key_that_is_none_gives_a_sentence_that_says_where_and_what_to_do(tmp_path, text, sentence):
    with pytest.raises(MasterKeyMissing) as missing:
        from_text(text)
    assert str(missing.value) == f"VIS_MASTER_KEY {sentence}: make one with `openssl rand -base64 32`"
    assert not text or text not in str(missing.value)
    (tmp_path / env.FILE).write_bytes(text.encode())
    with pytest.raises(MasterKeyMissing) as missing:
        made_in(tmp_path)
    assert str(tmp_path / env.FILE) in str(missing.value)
    assert "VIS_MASTER_KEY" not in str(missing.value)


@pytest.mark.parametrize("content", [b"\xff" * 44, b"\0" * 44])
def test_a_file_that_is_no_text_gives_a_sentence_too(tmp_path, content):
    (tmp_path / env.FILE).write_bytes(content)
    with pytest.raises(MasterKeyMissing, match=r"master\.key"):
        made_in(tmp_path)


def test_a_folder_in_the_place_of_the_file_gives_a_sentence_too(tmp_path):
    (tmp_path / env.FILE).mkdir()
    with pytest.raises(MasterKeyMissing, match="cannot be read"):
        made_in(tmp_path)


def test_line_ends_around_a_key_do_not_matter():
    assert from_text(f" {TEXT}\r\n").secret("x") == EnvKeyProvider(MASTER).secret("x")


def test_the_key_is_never_shown(capfd, caplog):
    keys = from_text(TEXT)
    keys.unwrap(CONTEXT, keys.wrap(CONTEXT, MASTER))
    shown = f"{keys!r} {keys} {caplog.text} {''.join(capfd.readouterr())}"
    assert TEXT not in shown
    assert repr(MASTER) not in shown
    assert MASTER.hex() not in shown


def test_each_secret_is_its_own_and_the_same_at_every_start():
    secrets = {
        purpose: from_text(TEXT).secret(purpose) for purpose in (HANDLE_PEPPER, WEB_SESSIONS, FINGERPRINT)
    }
    assert len(set(secrets.values())) == 3
    assert all(len(secret) == 32 and secret != MASTER for secret in secrets.values())
    assert secrets[FINGERPRINT].hex() == "647f0d1547a429e1a8c91f8d22ec1912ff09ea40b8595f95dfa86fb42b3cd61d"


def test_another_master_key_opens_nothing():
    record = from_text(TEXT).wrap(CONTEXT, MASTER)
    with pytest.raises(SealBroken):
        EnvKeyProvider(MASTER[::-1]).unwrap(CONTEXT, record)


def test_a_key_of_another_length_is_our_own_mistake():
    with pytest.raises(AssertionError):
        EnvKeyProvider(MASTER[:31])
