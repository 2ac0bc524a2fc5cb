from pathlib import Path

import pytest

from visionality.runtime.settings import BadSettings, Settings, from_environment


def test_every_setting_is_read_from_its_variable():
    found = from_environment(
        {
            "VIS_DATA_DIR": "/srv/vis",
            "VIS_GATEWAY_PORT": "0",
            "VIS_COMMIT_WAIT": "2.5",
            "VIS_SANDBOX_URL": "http://127.0.0.1:1/",
        }
    )
    assert (found.data_dir, found.gateway_port, found.commit_wait) == (Path("/srv/vis"), 0, 2.5)
    assert found.sandbox_url == "http://127.0.0.1:1"


def test_an_option_wins_over_the_environment():
    assert from_environment({"VIS_WEB_PORT": "1"}, web_port=2).web_port == 2
    assert from_environment({"VIS_WEB_PORT": "1"}, web_port=None).web_port == 1


def test_all_mistakes_are_told_together():
    with pytest.raises(BadSettings) as told:
        from_environment(
            {
                "VIS_GATEWAY_PORT": "high",
                "VIS_WEB_PORT": "70000",
                "VIS_IDLE_TIMEOUT": "0",
                "VIS_COMMIT_WAIT": "nan",
                "VIS_FENCE_AFTER": "1e400",
                "VIS_SANDBOX_URL": "ftp://x",
            }
        )
    for name in (
        "VIS_GATEWAY_PORT",
        "VIS_WEB_PORT",
        "VIS_IDLE_TIMEOUT",
        "VIS_COMMIT_WAIT",
        "VIS_FENCE_AFTER",
        "VIS_SANDBOX_URL",
    ):
        assert name in str(told.value)


def test_the_data_directory_is_absolute_whatever_was_said():
    assert from_environment({}).data_dir == Path.cwd() / Settings.__dataclass_fields__["data_dir"].default


def test_the_pooler_is_named_by_a_postgresql_address():
    address = "postgresql://pgbouncer.internal:6432/vis"
    assert from_environment({"VIS_POOLER_URL": address}).pooler_url == address
    with pytest.raises(BadSettings, match="VIS_POOLER_URL='pgbouncer:6432': expected an address such as"):
        from_environment({"VIS_POOLER_URL": "pgbouncer:6432"})
