"""Hints, limits, providers, prices, connectors, allocation and alert channels at the pages."""

from urllib.parse import quote

import pytest

from visionality.core.vendors import ADDRESSES, RESERVED
from visionality.gateway import providers
from visionality.runtime.ids import uuid7
from web.forms import audited, done, hidden, said, stored, submit

SECRET = "sk-ant-very-secret-000"
CREDENTIALS = "select provider, base_url, sealed, retired_at is null, options from vis_control.provider_credential where org_id = %s"


def test_the_pages_know_the_providers_of_the_gateway_and_its_own_paths():
    assert {one.name: one.base_url for one in providers.PROVIDERS} == ADDRESSES
    assert providers.RESERVED == RESERVED


def test_a_providers_key_goes_in_sealed_and_never_comes_out(office):
    assert "Calls of anthropic now go to https://api.anthropic.com." in done(
        office.browser, "/providers/add", provider="anthropic", key=SECRET, on_abort="drain", retries="1"
    )
    ((name, address, sealed, is_live, options),) = stored(office, CREDENTIALS)
    assert (name, address, is_live, options) == (
        "anthropic",
        "https://api.anthropic.com",
        True,
        {"retries": 1},
    )
    assert SECRET.encode() not in bytes(sealed)
    assert SECRET not in str(audited(office, "provider_added"))
    for path in ("/providers", "/providers/add?provider=anthropic"):
        assert SECRET not in office.browser.get(path).text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"provider": "sandbox", "base_url": "https://x.example"}, "'sandbox' cannot be a provider"),
        ({"provider": "vllm"}, "vllm stands at no fixed address"),
        ({"base_url": "ftp://x"}, "Expected an address that starts with https://"),
        ({"base_url": "http://169.254.169.254/"}, "No call may go to a machine's metadata service"),
        ({"deployments": "chat"}, "chat is no deployment"),
    ],
)
def test_a_wrong_provider_is_explained_and_the_secret_is_not_sent_back(office, fields, told):
    given = {"provider": "anthropic", "key": SECRET, "on_abort": "drain", "retries": "0"} | fields
    answer = submit(office.browser, "/providers/add", **given)
    assert answer.status == 422
    assert told in said(answer.text)
    assert SECRET not in answer.text
    for typed in fields.values():
        assert f'value="{typed}"' in answer.text
    assert stored(office, CREDENTIALS) == []


def test_a_providers_key_is_retired_after_a_page_that_says_what_happens(office):
    done(office.browser, "/providers/add", provider="openai", key=SECRET, on_abort="drain", retries="0")
    path = "/providers/remove?provider=openai"
    assert "its calls are answered by the simulated provider" in said(office.browser.get(path).text)
    assert "The key of openai is retired." in done(office.browser, path, reason="the contract ended")
    assert stored(office, CREDENTIALS)[0][3] is False
    (event,) = audited(office, "provider_removed")
    assert (event["provider"], event["reason"]) == ("openai", "the contract ended")
    assert office.browser.get(path).status == 404


def test_a_secret_that_was_typed_does_not_come_back_with_the_question_who_is_there(office):
    office.plane.tell("age", office.browser.cookies["vis_session"], "3600")
    answer = submit(
        office.browser, "/providers/add", provider="openai", key=SECRET, on_abort="drain", retries="0"
    )
    assert answer.status == 403
    assert 'value="openai"' in answer.text
    assert SECRET not in answer.text
    assert stored(office, CREDENTIALS) == []


def test_a_hint_is_added_and_removed(office):
    text = done(office.browser, "/hints/add", agent="derek@arctrade", prefer="claude-haiku-4-5")
    assert "Calls of derek@arctrade now get claude-haiku-4-5." in text
    assert "there is no agent derek@arctrade yet" in text
    ((hint_id,),) = stored(
        office, "select id from vis_control.model_hint where org_id = %s and retired_at is null"
    )
    assert "get what they ask for" in said(office.browser.get(f"/hints/{hint_id}/remove").text)
    assert "is preferred no more" in done(office.browser, f"/hints/{hint_id}/remove", reason="tried it")
    assert office.browser.get(f"/hints/{hint_id}/remove").status == 404
    assert audited(office, "hint_removed")[0]["reason"] == "tried it"
    same = submit(office.browser, "/hints/add", instead_of="gpt-5", prefer="gpt-5")
    assert "the hint would replace gpt-5 by itself" in said(same.text)


def test_a_limit_is_set_edited_and_removed(office):
    given = {"scope_kind": "key", "scope_name": "*"}
    text = done(office.browser, "/limits/set", **given, requests_per_minute="60", tokens_per_minute="200000")
    assert "Each key may have 60 requests and 200,000 tokens a minute." in text
    assert 'value="60"' in office.browser.get("/limits/set?scope=key:*").text
    done(office.browser, "/limits/set", **given, requests_per_minute="5")
    assert stored(
        office, "select requests_per_minute, tokens_per_minute from vis_control.rate_limit where org_id = %s"
    ) == [(5, None)]
    assert "nothing would be limited" in said(submit(office.browser, "/limits/set", **given).text)
    assert "is retired" in done(office.browser, "/limits/remove?scope=key:*", reason="enough")
    assert office.browser.get("/limits/remove?scope=key:*").status == 404
    assert [one.get("reason") for one in audited(office, "limit_removed")] == ["enough"]


def test_a_price_is_set_and_is_in_force(office):
    assert "claude-sonnet-4-5" in said(office.browser.get("/prices?q=sonnet-4-5").text)
    contract = "https://contracts.example/2026-11"
    text = done(
        office.browser,
        "/prices/set",
        provider="anthropic",
        model="claude-sonnet-4-5",
        input_usd="2.70",
        output_usd="13.5",
        source=contract,
    )
    assert "anthropic claude-sonnet-4-5 has a price from" in text
    assert "anthropic is not set up here" in text
    assert f'href="{contract}"' in office.browser.get("/prices").text
    found = said(office.browser.get("/prices?q=claude-sonnet-4-5").text)
    assert (
        "claude-sonnet-4-5 anthropic 2.7 13.5 2.7 2.7 override 2: https://contracts.example/2026-11" in found
    )
    (event,) = audited(office, "price_set")
    assert (event["in_text"], event["out_text"], event["cache_read"]) == ("2.70", "13.5", "2.70")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "Say at least one price"),
        ({"input_usd": "-1"}, "-1 is out of range: expected 0 to 1000000"),
        ({"input_usd": "cheap"}, "cheap is no decimal number"),
        (
            {"input_usd": "1", "source": "http://plain.example"},
            "Expected an address that starts with https://",
        ),
        ({"input_usd": "1", "rates": "in_smell=1"}, "in_smell is no bucket of tokens"),
    ],
)
def test_a_wrong_price_is_explained(office, fields, told):
    answer = submit(
        office.browser, "/prices/set", **{"provider": "vllm", "model": "m", "source": "x"} | fields
    )
    assert answer.status == 422
    assert told in said(answer.text)
    assert audited(office, "price_set") == []


def test_a_connector_is_added_read_given_another_secret_and_removed(office):
    given = {"kind": "bitbucket", "scopes": "arctrade", "token": SECRET}
    assert "Bitbucket Cloud is connected as bitbucket" in done(office.browser, "/connectors/add", **given)
    assert "connector bitbucket is there already" in said(
        submit(office.browser, "/connectors/add", **given).text
    )
    page = office.browser.get("/connectors")
    assert "waits for its first reading" in said(page.text)
    assert SECRET not in page.text
    assert office.browser.post("/connectors/of/bitbucket/sync", **hidden(page)).status == 302
    assert "new credential" in done(office.browser, "/connectors/of/bitbucket/secret", token="another-secret")
    hook = submit(office.browser, "/connectors/of/bitbucket/webhook")
    assert hook.text.count('class="secret"') == 2
    assert "/hooks/" in hook.text
    assert "is not read any more" in done(office.browser, "/connectors/of/bitbucket/remove", reason="moved")
    assert office.browser.get("/connectors/of/bitbucket/remove").status == 404
    kinds = ("added", "sync_asked", "secret_set", "webhook_set", "removed")
    assert [len(audited(office, f"connector_{kind}")) for kind in kinds] == [1] * len(kinds)


def test_a_connector_that_cannot_be_is_explained(office):
    answer = submit(office.browser, "/connectors/add", kind="jira_cloud", token=SECRET)
    assert answer.status == 422
    assert "stands at no fixed address" in said(answer.text)
    assert SECRET not in answer.text


def test_a_markup_and_a_split_are_set(office):
    done(office.browser, "/names/customer/add", key="drpatel")
    done(office.browser, "/names/project/add", key="HPC")
    text = done(
        office.browser, "/allocation/markup", scope_kind="customer", scope_name="drpatel", multiplier="1.25"
    )
    assert "customer:drpatel is billed its cost times 1.25" in text
    parts = "CC-410=60%, CC-420:6100=0.4"
    text = done(office.browser, "/allocation/split", scope_kind="project", scope_name="HPC", parts=parts)
    assert "CC-410 60%, CC-420:6100 40%" in text
    wrong = submit(
        office.browser, "/allocation/split", scope_kind="project", scope_name="HPC", parts="CC-410=60%"
    )
    assert wrong.status == 422
    assert 'value="CC-410=60%"' in wrong.text
    past = {"scope_kind": "customer", "scope_name": "drpatel", "multiplier": "2", "effective": "2020-01-01"}
    assert "has passed" in said(submit(office.browser, "/allocation/markup", **past).text)
    assert len(audited(office, "markup_set")) == len(audited(office, "split_set")) == 1


def test_a_channel_is_added_and_removed_and_a_webhooks_secret_is_shown_once(office):
    assert "Alerts go to ops@arctrade.example." in done(
        office.browser, "/alerts/channels/add", kind="email", target="ops@arctrade.example"
    )
    hook = submit(office.browser, "/alerts/channels/add", kind="webhook", target="https://hooks.example/x")
    assert 'class="secret">whsec_' in hook.text
    assert "whsec_" not in office.browser.get("/alerts").text
    wrong = submit(office.browser, "/alerts/channels/add", kind="email", target="nobody")
    assert "'nobody' is no mailbox: expected name@example.com" in said(wrong.text)
    path = f"/alerts/channels/remove?target={quote('ops@arctrade.example')}"
    assert "No more alerts go to ops@arctrade.example." in done(office.browser, path, reason="left")
    assert len(audited(office, "alert_channel_added")) == 2
    assert audited(office, "alert_channel_removed")[0]["reason"] == "left"


def test_what_another_organisation_has_is_not_there(office, new_office):
    done(office.browser, "/hints/add", prefer="claude-haiku-4-5")
    done(office.browser, "/connectors/add", kind="github", scopes="arctrade", token=SECRET)
    done(office.browser, "/providers/add", provider="openai", key=SECRET, on_abort="drain", retries="0")
    done(office.browser, "/alerts/channels/add", kind="email", target="ops@arctrade.example")
    done(office.browser, "/limits/set", scope_kind="key", scope_name="*", requests_per_minute="1")
    ((hint_id,),) = stored(office, "select id from vis_control.model_hint where org_id = %s")
    stranger = new_office().browser
    for path in (
        f"/hints/{hint_id}/remove",
        f"/hints/{uuid7()}/remove",
        "/connectors/of/github/remove",
        "/connectors/of/github/secret",
        "/connectors/of/github/webhook",
        "/providers/remove?provider=openai",
        "/alerts/channels/remove?target=ops@arctrade.example",
        "/limits/remove?scope=key:*",
    ):
        assert stranger.get(path).status == 404, path


def test_a_file_that_is_too_large_to_arrive_whole_is_refused_and_none_of_it_is_taken(office):
    """What percent-encoding makes longer than a request may be was cut off, and the rest read as all of it."""
    text = "version: 1\nprojects:\n  QQ: {aliases: [QQA]}\n# " + "%" * 360_000
    fields = hidden(office.browser.get("/map/apply"))
    answer = office.browser.post("/map/apply", **fields, text=text, reason="r")
    assert answer.status == 413
    assert "nothing was done" in answer.text
