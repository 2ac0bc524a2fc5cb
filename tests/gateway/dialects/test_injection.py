"""The gateway may ask for the usage of a stream, and nobody but the ledger may notice."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire import STREAMS, named
from gateway.dialects.test_streams import with_crlf
from visionality.core.call import Ask, Request
from visionality.core.sse import Events, payload
from visionality.gateway.dialects import CHAT_COMPLETIONS, MESSAGES
from visionality.gateway.dialects.chat_completions import with_usage_asked

HIDDEN = [
    wire for wire in STREAMS if wire.dialect is CHAT_COMPLETIONS and not wire.name.endswith("client_asked")
]
SHOWN = [wire for wire in STREAMS if wire not in HIDDEN]


def passed(reader, answer):
    return reader.feed(answer) + reader.finish()


@pytest.mark.parametrize("wire", SHOWN, ids=lambda wire: wire.name)
def test_without_injection_every_byte_passes(wire):
    assert passed(wire.reader(), wire.answer) == wire.answer


@pytest.mark.parametrize("wire", HIDDEN, ids=lambda wire: wire.name)
def test_a_chat_stream_whose_client_asked_passes_byte_for_byte(wire):
    reader = CHAT_COMPLETIONS.reader(Ask("m", stream=True, output_limit=None, include_usage=True))
    assert passed(reader, wire.answer) == wire.answer


@pytest.mark.parametrize("line_ends", [bytes, with_crlf], ids=["lf", "crlf"])
@pytest.mark.parametrize("wire", HIDDEN, ids=lambda wire: wire.name)
def test_with_injection_the_client_sees_the_stream_it_would_have_seen_without(wire, line_ends):
    answer = line_ends(wire.answer)
    seen = Events()
    got = seen.feed(passed(wire.reader(), answer))
    given_events = Events()
    wanted = [(event, told) for event in given_events.feed(answer) if (told := unasked(event)) is not None]
    assert len(got) == len(wanted)
    for ours, (theirs, without_usage) in zip(got, wanted, strict=True):
        if without_usage is theirs:
            assert ours == theirs
        else:
            assert msgspec.json.decode(payload(ours)) == without_usage
            assert b'"usage"' not in ours or b'"usage"' in json.dumps(without_usage).encode()
            assert [line for line in ours.splitlines() if not line.startswith(b"data:")] == [
                line for line in theirs.splitlines() if not line.startswith(b"data:")
            ]
            assert (b"\r\n" in ours) == (b"\r\n" in theirs)
    assert seen.take_rest() == given_events.take_rest()


def unasked(event):
    """The event without its usage as a document, the event itself when it has none, None when it is only that."""
    try:
        document = msgspec.json.decode(payload(event))
    except msgspec.DecodeError:
        return event
    if not isinstance(document, dict) or "usage" not in document:
        return event
    usage = document.pop("usage")
    return None if usage is not None and document["choices"] == [] else document


@pytest.mark.parametrize(
    ("chunk", "seen"),
    [
        (b'{"id":"1","choices":[{}],"usage":null}', b'{"id":"1","choices":[{}]}'),
        (b'{"id":"1","choices":[{}], "usage" : null ,"x":1}', b'{"id":"1","choices":[{}] ,"x":1}'),
        (b'{"usage":null,"id":"1"}', b'{"id":"1"}'),
        (b'{ "usage": null , "id":"1"}', b'{ "id":"1"}'),
        (b'{"usage":null}', b"{}"),
        (b'{"a":{"x":1,"usage":null},"b":1}', b'{"a":{"x":1,"usage":null},"b":1}'),
        (b'{"a":{"x":1,"usage":null},"usage":null}', b'{"a":{"x":1,"usage":null}}'),
        (
            b'{"a":{"x":1,"usage":null},"usage":null,"b":[{"y":0,"usage":null}]}',
            b'{"a":{"x":1,"usage":null},"b":[{"y":0,"usage":null}]}',
        ),
        (b'{"a":"\\",\\"usage\\":null","usage":null}', b'{"a":"\\",\\"usage\\":null"}'),
        (b'{"a":"}{][","usage":null}', b'{"a":"}{]["}'),
        (b'{"usage_of":"usage","usage":null}', b'{"usage_of":"usage"}'),
        (
            b'{"x_groq":{"usage":{"prompt_tokens":3}},"usage":null}',
            b'{"x_groq":{"usage":{"prompt_tokens":3}}}',
        ),
        (
            b'{"choices":[{"delta":{"content":"usage"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}',
            b'{"choices":[{"delta":{"content":"usage"}}]}',
        ),
    ],
)
def test_only_the_usage_on_top_and_its_comma_go(chunk, seen):
    reader = CHAT_COMPLETIONS.reader(Ask("m", stream=True, output_limit=None, include_usage=False))
    assert reader.feed(b"data: " + chunk + b"\n\n") == b"data: " + seen + b"\n\n"


text = st.text(max_size=6) | st.sampled_from(
    ["usage", '"usage":null', ',"usage":null', "choices", "{", "}]", "\\", '"']
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(text, values), max_size=4, unique_by=lambda member: member[0]),
    st.integers(0, 4),
    st.sampled_from([(",", ":"), (" , ", " : "), (",\n ", ": ")]),
    st.booleans(),
)
def test_a_null_usage_is_taken_out_of_any_object(members, place, separators, ascii_only):
    members = [member for member in members if member[0] != "usage"]
    with_usage = dict([*members[:place], ("usage", None), *members[place:]])
    chunk = json.dumps(with_usage, separators=separators, ensure_ascii=ascii_only).encode(errors="replace")
    event = b"".join(b"data: " + line + b"\n" for line in chunk.split(b"\n")) + b"\n"
    reader = CHAT_COMPLETIONS.reader(Ask("m", stream=True, output_limit=None, include_usage=False))
    wanted = msgspec.json.decode(chunk)
    del wanted["usage"]
    assert msgspec.json.decode(payload(reader.feed(event))) == wanted


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ('{"model":"m"}', '{"model":"m","stream_options":{"include_usage":true}}'),
        ('{"model":"m" } \n', '{"model":"m" ,"stream_options":{"include_usage":true}} \n'),
        ("{}", '{"stream_options":{"include_usage":true}}'),
        ('{"stream_options":null,"a":1}', '{"stream_options":{"include_usage":true},"a":1}'),
        ('{"stream_options" : { } }', '{"stream_options" : { "include_usage":true} }'),
        ('{"stream_options":{"include_usage":false}}', '{"stream_options":{"include_usage":true}}'),
        (
            '{"stream_options":{"include_usage" :\n null , "x":1.50}}',
            '{"stream_options":{"include_usage" :\n true , "x":1.50}}',
        ),
        ('{"stream_options":{"x":1e2}}', '{"stream_options":{"x":1e2,"include_usage":true}}'),
        (
            '{"stream_options":{"x":{"include_usage":false}}}',
            '{"stream_options":{"x":{"include_usage":false},"include_usage":true}}',
        ),
        (
            '{"a":{"stream_options":null},"stream_options":null}',
            '{"a":{"stream_options":null},"stream_options":{"include_usage":true}}',
        ),
        (
            '{"stream_options":null,"a":{"stream_options":null}}',
            '{"stream_options":{"include_usage":true},"a":{"stream_options":null}}',
        ),
        (
            '{"a":"\\"stream_options\\":null"}',
            '{"a":"\\"stream_options\\":null","stream_options":{"include_usage":true}}',
        ),
        (
            '{"stream\\u005foptions":{"include\\u005fusage":false}}',
            '{"stream\\u005foptions":{"include\\u005fusage":true}}',
        ),
        ('{"stream_options":"yes"}', '{"stream_options":"yes"}'),
        ('{"stream_options":[]}', '{"stream_options":[]}'),
    ],
)
def test_asking_for_the_usage_changes_the_smallest_span_of_bytes(body, sent):
    assert with_usage_asked(body.encode()).decode() == sent


names = text | st.sampled_from(["stream_options", "include_usage", "stream", "model"])
bodies = st.dictionaries(
    names,
    st.recursive(values, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=6),
    max_size=5,
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    bodies,
    st.none() | st.dictionaries(names, values, max_size=3),
    st.booleans(),
    st.sampled_from([(",", ":"), (" ,\t", "\r\n: ")]),
)
def test_any_body_says_the_same_and_asks_for_the_usage(body, options, given_options, separators):
    body.pop("stream_options", None)
    if given_options:
        body["stream_options"] = options
    sent = json.dumps(body, separators=separators).encode()
    asked = with_usage_asked(sent)
    assert json.loads(asked) == {
        **body,
        "stream_options": {**((given_options and options) or {}), "include_usage": True},
    }
    before = next(
        (at for at, (one, other) in enumerate(zip(sent, asked, strict=False)) if one != other), len(sent)
    )
    after = next(
        (at for at, (one, other) in enumerate(zip(sent[::-1], asked[::-1], strict=False)) if one != other),
        len(sent),
    )
    assert len(sent) - before - after <= len(json.dumps((options or {}).get("include_usage", None))) + len(
        '{"include_usage":true}'
    )


def test_a_body_is_sent_as_it_came_when_nothing_has_to_be_asked():
    body = named("openai/stream_client_asked").request
    request = Request("POST", "/chat/completions", "", (), body)
    ask = CHAT_COMPLETIONS.ask(msgspec.json.decode(body))
    assert CHAT_COMPLETIONS.outgoing(request, ask) is body
    assert MESSAGES.outgoing(request, ask) is body


def test_a_body_that_streams_asks_for_the_usage():
    body = named("openai/stream").request
    request = Request("POST", "/chat/completions", "", (), body)
    sent = CHAT_COMPLETIONS.outgoing(request, CHAT_COMPLETIONS.ask(msgspec.json.decode(body)))
    assert sent == body[:-1] + b',"stream_options":{"include_usage":true}}'
