import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.call import Refusal, Request, clean
from visionality.core.family import model_family
from visionality.core.tokens import estimated_tokens

FAMILIES = {
    "claude-3-5-sonnet-20241022": "claude-sonnet",
    "claude-sonnet-4-5-20250929": "claude-sonnet",
    "claude-3-opus-latest": "claude-opus",
    "claude-opus-4-1@20250805": "claude-opus",
    "us.anthropic.claude-haiku-4-5-20251001-v1:0": "claude-haiku",
    "anthropic/claude-3.7-sonnet:thinking": "claude-sonnet",
    "claude-instant-1.2": "claude-instant",
    "claude-fable-5-1": "claude-fable",
    "claude-2.1": "claude-2.1",
    "gpt-4o": "gpt-4o",
    "gpt-4o-2024-08-06": "gpt-4o",
    "gpt-4o-mini-2024-07-18": "gpt-4o-mini",
    "gpt-4.1-nano-2025-04-14": "gpt-4.1-nano",
    "gpt-4-0613": "gpt-4",
    "gpt-4-1106-preview": "gpt-4",
    "gpt-4-32k": "gpt-4",
    "gpt-3.5-turbo-16k-0613": "gpt-3.5-turbo",
    "gpt-4o-audio-preview-2024-12-17": "gpt-4o-audio",
    "gpt-5-chat-latest": "gpt-5-chat",
    "gpt-5.2-2025-12-11": "gpt-5.2",
    "gpt-oss-120b": "gpt-oss-120b",
    "ft:gpt-4o-mini-2024-07-18:acme:rivers:abc123": "gpt-4o-mini",
    "o3-mini-2025-01-31": "o3-mini",
    "o1-preview": "o1",
    "openai/gpt-5": "gpt-5",
    "models/gemini-2.5-flash-preview-05-20": "gemini-2.5-flash",
    "gemini-2.0-flash-001": "gemini-2.0-flash",
    "mistral-large-2411": "mistral-large",
    "deepseek-chat": "deepseek-chat",
    "GROK-4-0709": "grok-4",
    "llama-3.3-70b-versatile": "llama-3.3-70b-versatile",
    "": None,
    None: None,
}


@pytest.mark.parametrize(("model", "family"), FAMILIES.items())
def test_models_group_as_finance_groups_them(model, family):
    assert model_family(model) == family


@settings(max_examples=200, derandomize=True)
@given(st.text(min_size=1, max_size=40))
def test_any_name_has_a_family_and_a_family_is_its_own(name):
    family = model_family(name)
    assert family is not None
    if "ft:" not in name.lower():
        assert model_family(family) in {family, None}


@settings(max_examples=200, derandomize=True)
@given(st.text(max_size=300), st.integers(1, 60))
def test_a_clean_text_is_printable_and_short_and_stays_clean(text, limit):
    kept = clean(text, limit)
    assert kept is None or (0 < len(kept) <= limit and kept.isprintable())
    assert kept is None or clean(kept, limit) == kept


@pytest.mark.parametrize("value", [None, 7, b"x", ["x"], "", "\n", "\0\x1b\u202e"])
def test_what_is_no_text_is_nothing(value):
    assert clean(value, 10) is None


def test_the_first_value_of_a_header_is_found():
    request = Request("GET", "/", "", ((b"a", b"1"), (b"b", b"\xe9"), (b"a", b"2")), b"")
    assert (request.header(b"a"), request.header(b"b"), request.header(b"c")) == ("1", "\xe9", None)


def test_a_refusal_says_what_and_why():
    assert (
        str(Refusal(402, "spend_token_blocked", "nothing is left"))
        == "402 spend_token_blocked: nothing is left"
    )


@settings(max_examples=200, derandomize=True)
@given(st.text(max_size=100), st.text(max_size=20))
def test_more_text_is_never_fewer_tokens(text, more):
    assert estimated_tokens(text) <= estimated_tokens(text + more)
    assert (estimated_tokens(text) == 0) is (text == "")


@pytest.mark.parametrize(
    ("text", "tokens"), [("a", 1), ("abcd", 1), ("abcde", 2), ("Größe", 2), ("河流", 2), ("a河", 2)]
)
def test_four_latin_letters_or_one_other_sign_are_a_token(text, tokens):
    assert estimated_tokens(text) == tokens
