"""Keys at the pages: shown once, kept nowhere, rotated and revoked with a reason (K1, K7)."""

import pytest

from visionality.core.handle import from_entropy
from visionality.runtime.ids import uuid7
from web.forms import audited, done, hidden, said, stored, submit
from web.rows import call

KEYS = "select id, shown, level, memo, model_globs, revoked_at is not null, rotation from vis_control.virtual_key where org_id = %s"


@pytest.fixture
def shop(office):
    done(office.browser, "/names/project/add", key="SHOP")
    done(office.browser, "/names/agent/add", sub="alice@arctrade", owner="Alice K.")
    return office


def issue(office, **fields):
    given = {"agent": "alice@arctrade", "project": "SHOP", "level": "0", "scopes": "call", "period": "month"}
    return submit(office.browser, "/keys/issue", **given | fields)


def secret_in(answer):
    assert answer.status == 200, said(answer.text)
    return answer.text.partition('<code class="secret">')[2].partition("</code>")[0]


def life(office):
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        return connection.execute(
            "select kind, actor, detail from vis.key_events where org_id = %s order by seq", [office.org_id]
        ).fetchall()


def test_a_key_is_issued_with_its_bindings_and_shown_once(shop):
    answer = issue(
        shop, cap="50", expires="7d", memo="PJM rebill", models="claude-*, gpt-5", reason="new hire"
    )
    handle = secret_in(answer)
    assert handle.startswith("visk_")
    assert len(handle) == len(from_entropy(bytes(32)))
    assert answer.headers["cache-control"] == "no-store"
    ((key_id, shown, level, memo, models, _, _),) = stored(shop, KEYS)
    assert (shown, level, memo, models) == (handle[: len(shown)], 0, "PJM rebill", ["claude-*", "gpt-5"])
    for path in ("/keys", f"/keys/{key_id}", "/operations"):
        assert handle not in shop.browser.get(path).text
    ((kind, _, detail),) = life(shop)
    assert (kind, detail["reason"], detail["source"]) == ("issued", "new hire", "web")
    assert audited(shop, "budget_set")[0]["scope"] == f"key:{key_id}"


def test_a_key_without_a_hard_budget_is_warned_of(shop):
    assert "No hard budget covers this key" in said(issue(shop).text)
    assert "No hard budget" not in said(issue(shop, cap="5").text)


def test_pages_call_a_key_by_what_may_be_shown_and_its_agent(shop):
    issue(shop, cap="50")
    ((key_id, shown, *_),) = stored(shop, KEYS)
    shop.write(
        call(key_id=key_id, decision="refused", status_code=402, reason="budget_exceeded", cost_nusd=0)
    )
    for path in ("/budgets", "/operations", "/security"):
        text = said(shop.browser.get(path).text)
        assert f"{shown}…" in text, path
        assert str(key_id) not in text, path
    ((budget_id,),) = stored(shop, "select id from vis_control.budget where org_id = %s")
    for path in (f"/budgets/{budget_id}", f"/budgets/{budget_id}/edit", f"/budgets/{budget_id}/remove"):
        assert f"key {shown}…, alice@arctrade" in said(shop.browser.get(path).text)


def test_an_envelope_and_an_aws_pair_come_with_it_when_asked_for(shop):
    with shop.plane.database.as_role("vis_web", shop.org_id) as connection:
        connection.execute(
            "insert into vis.installation (installation_id, master_fingerprint) values (%s, '') on conflict do nothing",
            [uuid7()],
        )
    text = issue(shop, cap="5", envelope="on", aws_pair="on").text
    assert text.count('class="secret"') == 4
    assert "Envelope" in text
    assert "AWS secret access key" in text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"agent": "nobody@arctrade"}, "there is no agent nobody@arctrade"),
        ({"url": "http://plain.example"}, "“URL” must start with https://"),
        ({"level": "2"}, "a key at level 2 needs a service that proves its requests"),
        ({"expires": "400d"}, "a key at level 0 can live at most 90 days"),
        ({"expires": "soon"}, "soon is no duration: expected a number with m, h or d"),
        ({"networks": "10.0.0.0/99"}, "expected a network such as 203.0.113.0/24"),
        ({"cap": "0"}, "Expected an amount above zero"),
    ],
)
def test_a_binding_that_cannot_be_is_explained_and_what_was_typed_stays(shop, fields, told):
    answer = issue(shop, memo="kept as it was", **fields)
    assert answer.status == 422
    assert told in said(answer.text)
    assert 'value="kept as it was"' in answer.text
    assert stored(shop, KEYS) == []


def test_a_key_is_rotated_and_its_old_handle_goes_on_for_a_while(shop):
    first = secret_in(issue(shop, cap="5"))
    ((key_id, *_),) = stored(shop, KEYS)
    assert submit(shop.browser, f"/keys/{key_id}/rotate", overlap="24h").status == 422
    second = secret_in(submit(shop.browser, f"/keys/{key_id}/rotate", overlap="24h", reason="quarterly"))
    assert second != first
    ((_, shown, *_, rotation),) = stored(shop, KEYS)
    assert (shown, rotation) == (second[: len(shown)], 1)
    assert [kind for kind, _, _ in life(shop)] == ["issued", "rotated"]
    answer = submit(shop.browser, f"/keys/{key_id}/rotate", overlap="30d", reason="long")
    assert "an old handle can go on for at most 7 days" in said(answer.text)


def test_a_key_is_revoked_after_a_page_that_says_what_happens(shop):
    issue(shop, cap="5")
    ((key_id, *_),) = stored(shop, KEYS)
    path = f"/keys/{key_id}/revoke"
    assert "every gateway refuses it" in said(shop.browser.get(path).text)
    assert submit(shop.browser, path, reason=" ").status == 422
    assert "is revoked" in done(shop.browser, path, reason="leaked")
    ((*_, is_revoked, _),) = stored(shop, KEYS)
    assert is_revoked
    assert life(shop)[-1][2]["reason"] == "leaked"
    assert "Rotate" not in said(shop.browser.get(f"/keys/{key_id}").text)


def test_keys_are_found_by_person_project_and_state_and_show_their_last_call(shop):
    issue(shop, cap="5")
    ((key_id, shown, *_),) = stored(shop, KEYS)
    assert "not in three months" in said(shop.browser.get("/keys").text)
    (row,) = shop.write(call(key_id=key_id))
    assert f"{row.created_at.day} {row.created_at:%b %Y, %H:%M}" in said(shop.browser.get("/keys").text)
    for query, is_there in (
        ("q=ALICE", True),
        ("q=shop", True),
        ("q=derek", False),
        ("state=live", True),
        ("state=revoked", False),
    ):
        assert (shown in shop.browser.get(f"/keys?{query}").text) == is_there, query


def test_another_organisations_key_is_not_there(shop, new_office):
    issue(shop, cap="5")
    ((key_id, *_),) = stored(shop, KEYS)
    stranger = new_office().browser
    token = hidden(stranger.get("/keys/issue"))
    for path in ("", "/rotate", "/revoke"):
        for one in (key_id, uuid7()):
            assert stranger.get(f"/keys/{one}{path}").status == 404
            if path:
                assert stranger.post(f"/keys/{one}{path}", **token, reason="mine").status == 404
    assert not stored(shop, KEYS)[0][5]


def test_whoever_has_been_there_for_long_says_again_who_they_are_before_a_key_is_issued(shop):
    shop.plane.tell("age", shop.browser.cookies["vis_session"], "3600")
    answer = issue(shop, cap="5", memo="kept as it was")
    assert answer.status == 403
    assert 'value="kept as it was"' in answer.text
    assert stored(shop, KEYS) == []


def test_no_page_makes_a_binding_key(plane):
    assert not [one for one in plane.tell("addresses") if "binding" in one]


def test_the_list_takes_few_statements(shop):
    issue(shop, cap="5")
    assert len(shop.plane.statements(shop.browser, "/keys")) < 12
