"""`vis service-token`: shown once, listed without its secret, ended at once, each act audited (A4, K7)."""

import json
import urllib.error
import urllib.request


def identities(product, token: str) -> tuple[int, dict]:
    request = urllib.request.Request(
        f"{product.summary['web']}/api/v1/identities", headers={"authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_a_token_is_issued_used_listed_and_revoked(product):
    words = (
        "service-token",
        "issue",
        "--scope",
        "identities:write",
        "--expires",
        "90d",
        "--reason",
        "HR feed",
    )
    done = product.try_run(*words)
    token = done.stdout.strip()
    assert token.startswith("visa_")
    assert "it is not shown again" in done.stderr
    status, found = identities(product, token)
    assert status == 200
    assert "alice@arctrade" in {one["agent_sub"] for one in found["items"]}
    listed = [json.loads(line) for line in product.run("service-token", "list", "--json").splitlines()]
    (one,) = [one for one in listed if token.startswith(one["shown"])]
    assert (one["state"], one["scopes"]) == ("live", ["identities:write"])
    assert token not in product.run("service-token", "list")
    product.run("service-token", "revoke", one["id"], "--reason", "it leaked")
    assert identities(product, token)[0] == 401
    events = product.query(
        "select kind, detail->>'reason' as reason, detail::text as detail from vis.key_events"
        " where key_id = %s::uuid order by seq",
        one["id"],
    )
    assert [(event["kind"], event["reason"]) for event in events] == [
        ("service_token_issued", "HR feed"),
        ("service_token_revoked", "it leaked"),
    ]
    assert all(token not in event["detail"] for event in events)


def test_a_token_that_cannot_be_is_refused_in_a_sentence(product):
    said = product.try_run(
        "service-token", "issue", "--scope", "identities:read", "--expires", "367d", "--reason", "x"
    )
    assert (said.returncode, said.stdout) == (1, "")
    assert "lives at most 366 days" in said.stderr
    said = product.try_run("service-token", "revoke", "nonsense", "--reason", "x")
    assert "is no service token id: `vis service-token list` shows them" in said.stderr
    assert product.try_run("service-token", "issue", "--reason", "x").returncode == 2
