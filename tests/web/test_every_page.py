"""What holds for every page: the truth about the sandbox, strict headers, vendored files as they were published."""

import hashlib
import json
import re
from importlib.resources import files

from visionality.core.vendors import TITLES
from visionality.gateway.providers import PROVIDERS
from visionality.runtime.ids import uuid7
from web.test_ledger_page import poll_of, words

PAGES = ("/", "/coverage", "/finance", "/finance/figures", "/rows/01991d3a-0000-7000-8000-000000000000")
STATIC = files("visionality.web") / "static"


def give_key(office, provider, retired="null"):
    kek = uuid7()
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(
            "insert into vis_control.organisation_key (id, org_id, generation, wrapped, created_at) values (%s, %s, %s, '', now())",
            [kek, office.org_id, kek.int & 0x7FFFFFFF],
        )
        connection.execute(
            f"""insert into vis_control.provider_credential
                  (id, org_id, provider, base_url, sealed, organisation_key_id, on_abort, created_at, retired_at)
                values (%s, %s, %s, 'https://provider.example', '', %s, 'drain', now(), {retired})""",
            [uuid7(), office.org_id, provider, kek],
        )


def banner(page):
    return words(re.search(r'<div id="sandbox".*?</div>', page, re.DOTALL)[0])


def test_the_banner_says_that_every_answer_is_simulated(office):
    for page in PAGES:
        said = banner(office.browser.get(page).text)
        assert said.startswith("No provider key is set up: answers come from the simulated sandbox provider.")
        assert said.endswith("Add a key .")
        assert 'href="/providers/add"' in office.browser.get(page).text


def test_the_banner_names_the_providers_that_are_still_simulated(office):
    give_key(office, "anthropic")
    give_key(office, "openai", retired="now()")
    for page in PAGES:
        said = banner(office.browser.get(page).text)
        assert said.startswith("No key is set up for OpenAI, ")
        assert "answers to their calls come from the simulated sandbox provider" in said
        assert "Anthropic" not in said
        assert said.endswith("Add a key .")


def test_the_banner_goes_when_the_last_key_comes(office):
    *others, last = TITLES
    for name in others:
        give_key(office, name)
    page = office.browser.get("/").text
    assert banner(page) == (
        f"No key is set up for {TITLES[last]}: answers to its calls come from the simulated sandbox provider. "
        "Add a key ."
    )
    assert f"/providers/add?provider={last}" in page
    give_key(office, last)
    assert banner(office.browser.get(poll_of(page)).text) == ""
    assert banner(office.browser.get("/").text) == ""


def test_another_organisations_key_does_not_count(new_office):
    ours, theirs = new_office(), new_office()
    for name in TITLES:
        give_key(theirs, name)
    assert "No provider key is set up" in banner(ours.browser.get("/").text)


def test_without_a_sandbox_there_is_no_banner(plain_plane, office):
    assert banner(plain_plane.signed_in(office.org_id).get("/").text) == ""


def test_a_stranger_is_told_of_the_sandbox_too(plane):
    assert "simulated" in banner(plane.browser().get("/login").text)


def test_the_banner_knows_the_providers_of_the_gateway(plane):
    assert set(plane.tell("providers")) == {provider.name for provider in PROVIDERS if provider.base_url}


def test_a_page_may_load_only_what_comes_from_here_and_is_kept_nowhere(office):
    for page in (*PAGES, "/login"):
        headers = office.browser.get(page).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


def test_no_page_has_inline_script_or_style(office):
    for page in (*PAGES, "/login"):
        text = office.browser.get(page).text
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", text)


def test_the_session_cookie_is_out_of_reach_of_scripts(plane, office):
    cookie = plane.browser().get(plane.link(office.org_id)).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_vendored_files_are_what_the_manifest_says():
    vendor = STATIC / "vendor"
    listed = json.loads((vendor / "manifest.json").read_text())
    for one in listed:
        assert hashlib.sha256((vendor / one["file"]).read_bytes()).hexdigest() == one["sha256"]
        assert one.keys() >= {"package", "version", "licence", "source"}
    assert {file.name for file in vendor.iterdir()} == {one["file"] for one in listed} | {"manifest.json"}


def test_static_files_are_served_and_unknown_ones_are_not(plane):
    for path in ("visionality.css", "live.js", "mark.svg", "vendor/htmx.min.js"):
        answer = plane.browser().get(f"/static/{path}")
        assert (answer.status, answer.text) == (200, (STATIC / path).read_text())
    assert plane.browser().get("/static/../settings.py").status == 404


def test_a_host_that_is_not_ours_is_refused(plane):
    assert plane.browser().get("/login", Host="evil.example").status == 400


def test_health_needs_no_sign_in(plane):
    assert plane.browser().get("/livez").text == "ok\n"
    assert plane.browser().get("/readyz").text == "ok\n"
