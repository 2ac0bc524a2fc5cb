"""Of every operation in the OpenAPI file: another organisation's ids are answered as ids that nobody has (promise S8).

The operations, their places and their bodies are read off the file, so a new one is tried when it is there. A place, or a name
in a body, that this does not know fails the test until its ids are made here.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from visionality.runtime.ids import uuid7
from web.accounts.people import joined
from web.conftest import office_on
from web.packs import handed_out
from web.programs import ROOT, Program, Reply, full_program
from web.rows import call

X25519 = "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"
WHY = {"reason": "a test"}
ACT_ON_ANY = {
    "revoke_spend_token": "a minted token is in no list, so each can be ended before it is ever seen"
}
"""Operations that do the same for an id that nobody has, and why."""
CREATES = {"set_budget", "set_limit", "set_provider"}
"""Operations whose place need not be there: they make it, in the caller's own organisation."""
NEW_IN = {"add_person": {"sso_sub"}, "add_connector": {"scope"}}
"""Names in a body that are said there for the first time, or that are of another service."""
NEEDED = {"first": "2020-01-01", "last": "2099-12-31", "by": "project", "model": "claude"}
"""What a list does not answer without."""
NONE_YET = {"sign_on"}
"""What an organisation may be without: 404 then."""
SIMPLE = {"integer": 1, "boolean": False}
NUMBERS = {"version", "session_id"}
"""Places of numbers, which stand in anybody's lists."""
NO_NAME = {"period", "control"}
"""Places that name no object."""


@dataclass(frozen=True)
class Theirs:
    """What another organisation has, by the name of the place that it goes into; and for each an id that nobody has."""

    ids: dict[str, str]
    unknown: dict[str, str]


def scope(ids: dict[str, str]) -> dict[str, str]:
    return ids | {"scope": f"project:{ids['project_key']}"}


@pytest.fixture(scope="module")
def theirs(plane, tmp_path_factory) -> Theirs:
    return Theirs(made_by(full_program(office_on(plane, tmp_path_factory.mktemp("rows")))), UNKNOWN)


@pytest.fixture
def ours(office) -> Program:
    return full_program(office)


UNKNOWN = scope(
    {
        "project_key": "unknown-project",
        "customer_key": "unknown-customer",
        "team_key": "unknown-team",
        "sso_sub": "00u-unknown",
        "agent_sub": "unknown@nowhere",
        "provider": "unknown-provider",
        "connector_name": "unknown-connector",
        "service_key": "unknown-service",
        "version": "2147483647",
        "session_id": "2147483646",
        **{
            name: str(uuid7())
            for name in (
                *("alert_id", "key_id", "jti", "token_id", "row_id", "binding_key_id", "signing_key_id"),
                *("order_id", "hint_id", "floor_request_id", "pack_id"),
                *("member_id", "invitation_id", "event_id"),
            )
        },
    }
)
IN_A_BODY = {
    "project": "project_key",
    "customer": "customer_key",
    "team": "team_key",
    "agent": "agent_sub",
    "service": "service_key",
    "sso_sub": "sso_sub",
    "person": "sso_sub",
    "claims": "project_key",
    "rows": "row_id",
    "scope": "scope",
}
"""Names in a body that name an object, and the place that such an object goes into."""


def made_by(program: Program) -> dict[str, str]:
    """One of everything, by the API itself."""

    def done(method: str, path: str, body: object = None, **headers: str) -> Any:
        reply = program.send(method, path, body, **headers)
        assert reply.status < 300, (method, path, reply)
        return reply.content

    tag = uuid7().hex[-8:]
    names = {
        "project_key": f"P{tag}",
        "customer_key": f"c{tag}",
        "team_key": f"t{tag}",
        "sso_sub": f"00u{tag}",
        "agent_sub": f"agent{tag}@them",
        "provider": f"p{tag}",
        "connector_name": f"con{tag}",
        "service_key": f"s{tag}",
    }
    done("POST", "customers", {"key": names["customer_key"]})
    done("POST", "projects", {"key": names["project_key"], "customer": names["customer_key"]})
    done("POST", "teams", {"key": names["team_key"]})
    done("POST", "people", {"sso_sub": names["sso_sub"]})
    agent = {"agent_sub": names["agent_sub"], "owner": "Them", "sso_sub": names["sso_sub"]}
    program.ask("PUT", f"{ROOT}identities", json.dumps([agent]).encode(), content_type="application/json")
    done("PUT", f"projects/{names['project_key']}/passthrough/{names['provider']}", {})
    done("PUT", f"providers/{names['provider']}", {"base_url": "https://them.example", "secret": "s"})
    connector = {"name": names["connector_name"], "kind": "github", "scope": ["them"], "secret": "s"}
    done("POST", "connectors", connector)
    done("POST", "services", {"name": names["service_key"], "x25519": X25519, **WHY})
    done("POST", f"services/{names['service_key']}/binding-keys", WHY)
    done("PUT", f"budgets/project:{names['project_key']}/month", {"cap_usd": "5"})
    done("PUT", f"limits/project:{names['project_key']}", {"requests_per_minute": 5})
    done("PUT", f"floors/project:{names['project_key']}", {"level": 2})
    lower = done("PUT", f"floors/project:{names['project_key']}", {"level": 1})
    content = {"content": f"version: 1\nrepos:\n  them{tag}: {names['project_key']}\n"}
    done("PUT", "mapping", content, if_match=program.send("GET", "mapping").headers["etag"])
    key = done(
        "POST",
        "keys",
        {"agent": names["agent_sub"], "level": 2, "service": names["service_key"], "scopes": ["mint"], **WHY},
    )
    (row,) = program.office.write(call(project_id=names["project_key"], agent_sub=names["agent_sub"]))
    order = done("POST", "corrections", {"rows": [str(row.id)], "project": names["project_key"], **WHY})
    alert_id = str(uuid7())
    with program.office.plane.database.as_role("vis_super") as connection:
        connection.execute(
            """insert into vis.alerts (org_id, alert_id, created_at, kind, subject_id, mark, scope, title, body, detail)
               values (%s, %s, now(), 'budget', %s, 80, 'org', 'title', 'body', '{}')""",
            [program.office.org_id, alert_id, alert_id],
        )
    pack_id = handed_out(program.office)
    done("POST", "alert-channels", {"kind": "email", "target": "them@x.example"})
    done("POST", "invitations", {"email": f"joining{tag}@them.example", "roles": ["finance"]})
    joined(program.office, f"member{tag}@them.example", "finance")
    member_id = done("GET", "members")["items"][0]["id"]
    return scope(
        names
        | {
            "version": "1",
            "alert_id": alert_id,
            "pack_id": str(pack_id),
            "key_id": key["key"]["id"],
            "jti": str(uuid7()),
            "token_id": program.token_id,
            "row_id": str(row.id),
            "binding_key_id": done("GET", "binding-keys")["items"][0]["id"],
            "signing_key_id": done("GET", "signing-keys")["items"][0]["id"],
            "order_id": order["orders"][0],
            "hint_id": done("POST", "hints", {"prefer": "claude-haiku-4-5"})["hint"]["id"],
            "floor_request_id": lower["waits"]["id"],
            "member_id": member_id,
            "invitation_id": done("GET", "invitations")["items"][0]["id"],
            "session_id": str(done("GET", f"members/{member_id}/sessions")["items"][0]["id"]),
            "event_id": done("GET", "admin-events")["items"][0]["id"],
        }
    )


def described(program: Program) -> dict[str, Any]:
    return program.send("GET", "openapi.json").content


def operations(file: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, by_method in file["paths"].items():
        for method, operation in by_method.items():
            yield path, method.upper(), operation


def resolved(file: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = file["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def smallest(file: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value that a schema takes: its example where it has one, else what it needs."""
    schema = resolved(file, schema)
    if "examples" in schema:
        return schema["examples"][0]
    if "default" in schema or "enum" in schema:
        return schema.get("default", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        wanted = schema.get("required", [])
        named = schema.get("properties", {}).items()
        return {name: smallest(file, its) for name, its in named if name in wanted or "examples" in its}
    if kind == "array":
        return [smallest(file, schema["items"])] * schema.get("minItems", 0)
    assert kind in SIMPLE, f"give this an example: {schema}"
    return schema.get("minimum", SIMPLE[kind])


def body_of(file: dict[str, Any], operation: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    return smallest(file, content["application/json"]["schema"]) if content else None


def normal(reply: Reply, ids: dict[str, str]) -> tuple[int, str]:
    """Status and body without what names the id that was asked for, and without what is of the moment."""
    text = json.dumps(reply.content, default=repr)
    for value in sorted(ids.values(), key=len, reverse=True):
        said = rf"(?<![\w-]){re.escape(value)}(?![\w-])" if len(value) > 1 else rf"(?<=version ){value}(?= )"
        text = re.sub(said, "…", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)
    return reply.status, re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)", "TIME", text)


def filled(path: str, ids: dict[str, str]) -> str:
    def place(found: re.Match[str]) -> str:
        return "month" if found[1] in NO_NAME else quote(ids[found[1]], safe="")

    return re.sub(r"{(\w+)}", place, path)


def test_every_place_of_a_path_has_ids_to_try(ours, theirs):
    places = {name for path, _, _ in operations(described(ours)) for name in re.findall(r"{(\w+)}", path)}
    assert places - set(theirs.ids) == NO_NAME
    assert set(theirs.ids) == set(theirs.unknown)


def test_another_organisations_ids_are_answered_as_ids_that_nobody_has(ours, theirs):
    file, tried = described(ours), 0
    before = kept(ours, theirs)
    for path, method, operation in sorted(operations(file), key=lambda one: one[2]["operationId"] in CREATES):
        if "{" not in path:
            continue
        body = body_of(file, operation)
        asked = {one["name"]: one["required"] for one in operation["parameters"] if one["in"] == "query"}
        needs = {name: NEEDED[name] for name, is_needed in asked.items() if is_needed}
        query = f"?{urlencode(needs | ({'reason': 'x'} if 'reason' in asked else {}))}".rstrip("?")
        told = [
            normal(ours.send(method, filled(path, ids).removeprefix(ROOT) + query, body), ids)
            for ids in (theirs.ids, theirs.unknown)
        ]
        assert told[0] == told[1], (method, path)
        name = operation["operationId"]
        if name in ACT_ON_ANY or name in CREATES:
            assert told[0][0] in {200, 404, 422}, (method, path, told)
        else:
            assert told[0][0] == 404, (method, path, told)
        tried += 1
    assert tried > 40
    print(f"{tried} operations with an id in their path, each tried with another organisation's")
    assert kept(ours, theirs) == before


def test_another_organisations_names_in_a_body_are_answered_as_names_that_nobody_has(ours, theirs):
    assert ours.send("POST", "projects", {"key": "OURS"}).status == 201
    file, tried = described(ours), 0
    for path, method, operation in operations(file):
        body = body_of(file, operation)
        if "{" in path or not isinstance(body, dict):
            continue
        schema = resolved(file, operation["requestBody"]["content"]["application/json"]["schema"])
        for name in set(schema["properties"]) & set(IN_A_BODY):
            is_list = schema["properties"][name].get("type") == "array"
            if name in NEW_IN.get(operation["operationId"], set()):
                continue
            told = []
            for ids in (theirs.ids, theirs.unknown):
                value: Any = ids[IN_A_BODY[name]]
                reply = ours.send(
                    method, path.removeprefix(ROOT), body | {name: [value] if is_list else value}
                )
                told.append(normal(reply, ids))
            assert told[0] == told[1], (method, path, name)
            tried += 1
    assert tried >= 8
    print(f"{tried} names in bodies, each tried with another organisation's")


def test_no_list_shows_anything_of_another_organisation(ours, theirs):
    secrets = {value for name, value in theirs.ids.items() if name not in NUMBERS}
    for path, method, operation in operations(described(ours)):
        if method != "GET" or "{" in path:
            continue
        needs = {one["name"]: NEEDED[one["name"]] for one in operation["parameters"] if one["required"]}
        reply = ours.send(method, f"{path.removeprefix(ROOT)}?{urlencode(needs)}")
        assert reply.status == 200 or operation["operationId"] in NONE_YET, (path, reply)
        text = json.dumps(reply.content, default=repr)
        assert not [one for one in secrets if one in text], path


def test_another_organisations_channel_is_not_there(ours, theirs):
    told = [
        ours.send("DELETE", f"alert-channels?target={one}") for one in ("them@x.example", "nobody@x.example")
    ]
    assert [one.status for one in told] == [422, 422]
    detail = told[0].content["detail"]
    assert detail.replace("them", "nobody") == told[1].content["detail"]


def kept(ours: Program, theirs: Theirs) -> list[Any]:
    """What the other organisation has, as the database keeps it."""
    tables = (
        "project",
        "virtual_key",
        "budget",
        "rate_limit",
        "model_hint",
        "service",
        "binding_key",
        "connector",
        "signing_key",
        "service_token",
        "provider_credential",
        "floor_request",
        "membership",
        "invitation",
    )
    with ours.office.plane.database.as_role("vis_super") as connection:
        (org_id,) = connection.execute(
            "select org_id from vis_control.project where key = %s", [theirs.ids["project_key"]]
        ).fetchone()
        return [
            connection.execute(
                f"select to_jsonb(t)::text from vis_control.{table} t where org_id = %s order by id", [org_id]
            ).fetchall()
            for table in tables
        ]
