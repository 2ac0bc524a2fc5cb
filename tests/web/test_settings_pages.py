"""Floors, signing keys, the organisation itself and paths without a meter at the pages: what only the command line had (S5)."""

import re

import pytest

from visionality.runtime.ids import uuid7
from web.forms import audited, done, hidden, said, stored, submit

LINK = r'href="(/floors/[0-9a-f-]{36}/approve)"'


def steps_of_keys(office, kind):
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        return connection.execute(
            "select actor, detail from vis.key_events where org_id = %s and kind = %s order by seq",
            [office.org_id, kind],
        ).fetchall()


def test_a_floor_is_raised_at_once_and_lowered_by_two_people(office):
    done(office.browser, "/names/project/add", key="SHOP")
    raised = done(
        office.browser, "/floors/set", scope_kind="project", scope_name="SHOP", level="3", reason="resale"
    )
    assert "Every key of project:SHOP must show level 3 now." in raised
    assert audited(office, "floor_raised")[0]["reason"] == "resale"
    told = done(office.browser, "/floors/set", scope_kind="project", scope_name="SHOP", level="0")
    assert "stays 3 until another person approves" in told
    assert stored(office, "select level_floor from vis_control.project where org_id = %s") == [(3,)]
    (path,) = re.findall(LINK, office.browser.get("/floors").text)
    own = submit(office.browser, path, reason="I say so")
    assert own.status == 422
    assert "operator asked for this: another person has to approve it" in said(own.text)
    second = office.plane.signed_in(office.org_id, "ines@arctrade.example")
    assert "The floor of project:SHOP is 0 now." in done(second, path, reason="the pilot is over")
    assert stored(office, "select level_floor from vis_control.project where org_id = %s") == [(0,)]
    assert second.get(path).status == 404
    (lowered,) = audited(office, "floor_lowered")
    assert (lowered["requested_by"], lowered["reason"]) == ("operator", "the pilot is over")


def test_a_lower_floor_that_was_asked_for_is_taken_back(office):
    done(office.browser, "/floors/set", scope_kind="organisation", level="2")
    done(office.browser, "/floors/set", scope_kind="organisation", level="1")
    (path,) = re.findall(LINK, office.browser.get("/floors").text)
    assert "stays 2" in done(office.browser, path.replace("approve", "decline"), reason="a slip")
    assert "Nothing waits" in said(office.browser.get("/floors").text)


def test_a_floor_of_what_is_not_there_is_explained_and_what_was_typed_stays(office):
    answer = submit(office.browser, "/floors/set", scope_kind="project", scope_name="NONE", level="3")
    assert answer.status == 422
    assert "there is no project NONE" in said(answer.text)
    assert 'value="NONE"' in answer.text


@pytest.mark.parametrize("path", ["/floors/set", "/signing-keys/rotate", "/organisation-settings/set"])
def test_a_stale_session_is_asked_who_is_there_before_anything_happens(office, path):
    page = office.browser.get(path)
    office.plane.tell("age", office.browser.cookies["vis_session"], "3600")
    answer = office.browser.post(path, **hidden(page), reason="theft", scope_kind="organisation", level="3")
    assert answer.status == 403
    assert audited(office, "floor_raised") == []
    assert steps_of_keys(office, "signing_key_made") == []


def test_a_signing_key_is_rotated_and_revoked_and_none_of_it_is_shown(office):
    told = done(office.browser, "/signing-keys/rotate", reason="quarterly")
    assert "signs from now on" in told
    done(office.browser, "/signing-keys/rotate", reason="seen in a log")
    page = office.browser.get("/signing-keys")
    assert [state in said(page.text) for state in ("signs", "verifies")] == [True, True]
    keys = stored(
        office, "select id, sealed from vis_control.signing_key where org_id = %s order by made_at, id"
    )
    for _, sealed in keys:
        assert bytes(sealed).hex() not in page.text
    path = f"/signing-keys/{keys[0][0]}/revoke"
    assert "is believed any more" in done(office.browser, path, reason="seed was seen")
    assert [detail["reason"] for _, detail in steps_of_keys(office, "signing_key_revoked")] == [
        "seed was seen"
    ]
    assert "revoked" in said(office.browser.get("/signing-keys").text)


def test_the_organisation_is_named_and_given_a_time_zone(office):
    path = "/organisation-settings/set"
    given = {"name": "ArcTrade <Ltd>", "time_zone": "Europe/Berlin", "denied_project": "refuse"}
    assert "ArcTrade <Ltd> is set." in done(office.browser, path, **given, reason="moved")
    page = office.browser.get("/organisation-settings").text
    assert "ArcTrade &lt;Ltd&gt;" in page
    assert "Europe/Berlin" in page
    assert [event | {"sso_sub": ""} for event in audited(office, "organisation_set")] == [
        {"name": "ArcTrade <Ltd>", "was_name": "ArcTrade", "reason": "moved", "sso_sub": ""},
        {"time_zone": "Europe/Berlin", "was_time_zone": "UTC", "reason": "moved", "sso_sub": ""},
        {"denied_project": "refuse", "was_denied_project": "queue", "reason": "moved", "sso_sub": ""},
    ]
    done(office.browser, path, **given)
    assert len(audited(office, "organisation_set")) == 3
    wrong = submit(office.browser, path, **given | {"time_zone": "Mars/Base"})
    assert wrong.status == 422


def test_every_key_of_the_organisation_ends_by_one_act(office):
    path = "/organisation-settings/revoke-keys"
    assert submit(office.browser, path).status == 422
    assert "epoch 2 begins" in done(office.browser, path, reason="the vault was open")
    assert [detail["reason"] for _, detail in steps_of_keys(office, "all_revoked")] == ["the vault was open"]


def test_paths_without_a_meter_are_opened_to_a_project_and_closed(office):
    done(office.browser, "/names/project/add", key="HPC")
    given = {"project": "HPC", "provider": "openai"}
    told = done(office.browser, "/providers/passthrough/open", **given, usd_per_request="0.010")
    assert "open to HPC, at 0.01 USD a request" in told
    assert audited(office, "passthrough_opened")[0]["usd_per_request"] == "0.01"
    path = "/providers/passthrough/close?project=HPC&provider=openai"
    assert "are closed to HPC" in done(office.browser, path, reason="not needed")
    assert office.browser.get(path).status == 404
    wrong = submit(office.browser, "/providers/passthrough/open", project="NONE", provider="openai")
    assert "there is no project NONE" in said(wrong.text)


def test_all_of_a_connector_is_read_anew(office):
    done(office.browser, "/connectors/add", kind="github", scopes="arctrade", token="secret-token")
    page = office.browser.get("/connectors")
    assert office.browser.post("/connectors/of/github/sync/full", **hidden(page)).status == 302
    assert audited(office, "connector_sync_asked")[0]["mode"] == "full"


def test_what_another_organisation_has_is_not_there(office, new_office):
    done(office.browser, "/floors/set", scope_kind="organisation", level="2")
    done(office.browser, "/floors/set", scope_kind="organisation", level="1")
    done(office.browser, "/signing-keys/rotate", reason="first")
    (approve,) = re.findall(LINK, office.browser.get("/floors").text)
    ((key,),) = stored(office, "select id from vis_control.signing_key where org_id = %s")
    stranger = new_office().browser
    for path in (approve, f"/signing-keys/{key}/revoke", f"/signing-keys/{uuid7()}/revoke"):
        assert stranger.get(path).status == 404, path
