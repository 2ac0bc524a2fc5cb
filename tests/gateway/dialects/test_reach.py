"""What each format of request can be billed for beyond its bytes is found wherever it stands (B1, docs/metering.md)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from visionality.core.call import ITS_BYTES, Reach, Refusal
from visionality.gateway.dialects import (
    CHAT_COMPLETIONS,
    CONVERSE,
    EMBEDDINGS,
    GEMINI,
    GEMINI_EMBEDDINGS,
    IMAGES,
    INVOKE_MODEL,
    MESSAGES,
    RESPONSES,
)
from visionality.gateway.dialects.reach._core import (
    PICTURE_TOKENS,
    PROMPT_TOKENS,
    ROUNDS,
    SEARCHED_TOKENS,
    TOOL_TOKENS,
    USES,
)
from visionality.gateway.dialects.reach.messages import PICTURE_TOKENS as CLAUDES
from visionality.gateway.dialects.reach.openai import EDITED, EDITED_TOKENS

UNSEEN = Reach(unseen=True)
DATA = "iVBORw0KGgo"
PNG = "data:image/png;base64," + DATA
PDF = "data:application/pdf;base64," + DATA
WEB = "https://example.com/a"
SCHEMA = {"type": "object", "properties": {}}


def reach(dialect, document, model="m"):
    return dialect.ask(document, model).reach


def claude(*blocks, **more):
    return reach(MESSAGES, {"max_tokens": 9, "messages": [{"role": "user", "content": list(blocks)}], **more})


def chat(*parts, **more):
    return reach(CHAT_COMPLETIONS, {"messages": [{"role": "user", "content": list(parts)}], **more})


def responses(*items, **more):
    return reach(RESPONSES, {"input": list(items), **more})


def gemini(*parts, **more):
    return reach(GEMINI, {"contents": [{"parts": list(parts)}], **more})


def converse(*blocks, model="us.amazon.nova-pro-v1:0", **more):
    return reach(CONVERSE, {"messages": [{"role": "user", "content": list(blocks)}], **more}, model)


def image(**source):
    return {"type": "image", "source": source}


def pdf(**source):
    return {"type": "document", "source": source}


INLINE = {"type": "base64", "media_type": "application/pdf", "data": DATA}


@pytest.mark.parametrize(
    ("dialect", "document"),
    [
        (MESSAGES, {"max_tokens": 9, "system": "kind", "messages": [{"role": "user", "content": "hi"}]}),
        (CHAT_COMPLETIONS, {"messages": [{"role": "user", "content": "hi"}], "n": 2}),
        (RESPONSES, {"input": "hi", "instructions": "kind", "max_tool_calls": 3, "previous_response_id": None}),
        (GEMINI, {"contents": [{"parts": [{"text": "hi"}]}], "systemInstruction": {"parts": {"text": "kind"}}}),
        (CONVERSE, {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "system": [{"text": "kind"}]}),
        (INVOKE_MODEL, {"anthropic_version": "x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        (INVOKE_MODEL, {"prompt": "hi", "max_gen_len": 5}),
        (EMBEDDINGS, {"input": ["hi", [1, 2], 3]}),
        (IMAGES, {"prompt": "a cat"}),
    ],
)  # fmt: skip
def test_a_text_costs_its_bytes_and_nothing_else(dialect, document):
    assert reach(dialect, document) is ITS_BYTES


@pytest.mark.parametrize(
    "found",
    [
        claude(
            {"type": "text", "text": "hi"}, {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            {"type": "tool_result", "tool_use_id": "t", "content": "done"},
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "done"}]},
            {"type": "web_search_tool_result", "content": [{"type": "web_search_result", "encrypted_content": "x"}]},
            {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_tool_error", "error_code": "x"}},
            pdf(type="text", media_type="text/plain", data="plain"), pdf(type="content", content="plain"),
            pdf(type="content", content=[{"type": "text", "text": "plain"}]),
            tools=[], thread={"type": "create"}, container=None, mcp_servers=[],
            context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        ),
        chat({"type": "text", "text": "hi"}, {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}},
             tools=[], functions=[], plugins=[]),
        responses(
            {"role": "user", "content": "hi"}, {"type": "message", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "x", "summary": []},
            {"type": "function_call", "arguments": "{}"}, {"type": "function_call_output", "output": "done"},
            {"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "done"}]},
            tools=[], conversation=None,
        ),
        gemini({"text": "hm", "thought": True, "thoughtSignature": "x"}, {"function_call": {"name": "f"}},
               {"functionResponse": {"name": "f", "response": {}}}, {"inlineData": {"mimeType": "text/csv", "data": DATA}},
               tools=[]),
        converse({"text": "hi"}, {"toolResult": {"content": [{"json": {}}, {"text": "done"}]}},
                 {"document": {"format": "md", "source": {"bytes": DATA}}},
                 {"document": {"format": "pdf", "source": {"text": "hi"}}}, {"guardContent": {"text": {"text": "hi"}}}),
    ],
)  # fmt: skip
def test_what_is_all_there_as_text_costs_its_bytes_and_nothing_else(found):
    assert found is ITS_BYTES


PICTURES = {
    "claude inline": (claude(image(type="base64", media_type="image/png", data=DATA)), CLAUDES - len(DATA)),
    "claude elsewhere": (claude(image(type="url", url=WEB), image(type="file", file_id="f")), 2 * CLAUDES),
    "claude from a tool": (
        claude({"type": "tool_result", "content": [image(type="base64", data=DATA)]}), CLAUDES - len(DATA)
    ),
    "claude in a document": (claude(pdf(type="content", content=[image(type="url", url=WEB)])), CLAUDES),
    "claude at bedrock": (
        reach(INVOKE_MODEL, {"anthropic_version": "x", "messages": [{"content": [image(type="base64", data=DATA)]}]}),
        CLAUDES - len(DATA),
    ),
    "chat inline": (chat({"type": "image_url", "image_url": {"url": PNG}}), PICTURE_TOKENS - len(PNG)),
    "chat elsewhere": (chat({"type": "image_url", "image_url": {"url": WEB}}), PICTURE_TOKENS),
    "chat, its address alone": (chat({"type": "image_url", "image_url": PNG}), PICTURE_TOKENS - len(PNG)),
    "responses inline": (
        responses({"role": "user", "content": [{"type": "input_image", "image_url": PNG}]}), PICTURE_TOKENS - len(PNG)
    ),
    "responses by id": (
        responses({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}), PICTURE_TOKENS
    ),
    "responses from a tool": (
        responses({"type": "function_call_output", "output": [{"type": "input_image", "image_url": WEB}]}),
        PICTURE_TOKENS,
    ),
    "a screenshot": (
        responses({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": PNG}}),
        PICTURE_TOKENS - len(PNG),
    ),
    "a picture made before": (
        responses({"type": "image_generation_call", "id": "i"}, {"type": "image_generation_call", "result": DATA}),
        2 * PICTURE_TOKENS - len(DATA),
    ),
    "gemini": (gemini({"inlineData": {"mimeType": "image/png", "data": DATA}}), PICTURE_TOKENS - len(DATA)),
    "gemini, one for a list": (
        reach(GEMINI, {"contents": {"parts": {"inline_data": {"mime_type": "image/png", "data": DATA}}}}),
        PICTURE_TOKENS - len(DATA),
    ),
    "gemini from a tool": (
        gemini({"functionResponse": {"parts": [{"inlineData": {"mimeType": "image/png", "data": DATA}}]}}),
        PICTURE_TOKENS - len(DATA),
    ),
    "gemini embedded": (
        reach(GEMINI_EMBEDDINGS, {"requests": [
            {"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": DATA}}]}}
        ]}),
        PICTURE_TOKENS - len(DATA),
    ),
    "converse": (
        converse({"image": {"format": "png", "source": {"bytes": DATA}}}, {"image": {"source": {"s3Location": {}}}}),
        2 * PICTURE_TOKENS - len(DATA),
    ),
    "converse from a tool": (
        converse({"toolResult": {"content": [{"image": {"source": {"bytes": DATA}}}]}}), PICTURE_TOKENS - len(DATA)
    ),
    "converse, guarded": (
        converse({"guardContent": {"image": {"source": {"bytes": DATA}}}}), PICTURE_TOKENS - len(DATA)
    ),
    "nova": (
        reach(INVOKE_MODEL, {"messages": [{"content": [{"image": {"source": {"bytes": DATA}}}]}]}),
        PICTURE_TOKENS - len(DATA),
    ),
    "another vendor at bedrock": (
        reach(INVOKE_MODEL, {"messages": [{"content": [{"type": "image_url", "image_url": {"url": PNG}}]}]}),
        PICTURE_TOKENS - len(PNG),
    ),
    "llama": (reach(INVOKE_MODEL, {"prompt": "hi", "images": [DATA, DATA]}), 2 * (PICTURE_TOKENS - len(DATA))),
    "edited": (
        reach(IMAGES, {"prompt": "a cat", "images": [{"image_url": PNG}, {"file_id": "f"}], "mask": {"file_id": "f"}}),
        3 * EDITED_TOKENS - len(PNG),
    ),
    "a form": (reach(IMAGES, {"prompt": "a cat", "file_bytes": 4096}), EDITED * EDITED_TOKENS),
}  # fmt: skip


@pytest.mark.parametrize(("found", "tokens"), PICTURES.values(), ids=PICTURES.keys())
def test_a_picture_costs_the_most_tokens_that_one_can_have_and_not_its_bytes(found, tokens):
    assert (found.tokens, found.unseen, found.rounds) == (tokens, False, 1)


UNBOUNDED = {
    "claude pdf": (claude(pdf(**INLINE)), -len(DATA)),
    "claude pdf elsewhere": (claude(pdf(type="url", url=WEB), pdf(type="file", file_id="f")), 0),
    "claude text that is cited": (claude({**pdf(type="text", data="plain"), "citations": {"enabled": True}}), -5),
    "claude fetched": (claude({"type": "web_fetch_tool_result", "content": {"content": pdf(**INLINE)}}), -len(DATA)),
    "claude upload": (claude({"type": "container_upload", "file_id": "f"}), 0),
    "claude unheard of": (claude({"type": "hologram"}), 0),
    "claude no block": (claude("hi"), 0),
    "claude thread": (claude(thread={"type": "continue", "previous_message_id": "m"}), 0),
    "claude container": (claude(container="c"), 0),
    "chat file": (chat({"type": "file", "file": {"file_id": "f"}}), 0),
    "chat pdf": (chat({"type": "file", "file": {"file_data": PDF}}), -len(PDF)),
    "chat pdf as a picture": (chat({"type": "image_url", "image_url": {"url": PDF}}), -len(PDF)),
    "chat video": (chat({"type": "video_url", "video_url": {"url": WEB}}), 0),
    "chat sound by id": (reach(CHAT_COMPLETIONS, {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}), 0),
    "responses file": (responses({"role": "user", "content": [{"type": "input_file", "file_data": PDF}]}), -len(PDF)),
    "responses file elsewhere": (responses({"role": "user", "content": [{"type": "input_file", "file_url": WEB}]}), 0),
    "responses earlier": (responses(previous_response_id="r"), 0),
    "responses conversation": (responses(conversation={"id": "c"}), 0),
    "responses template": (responses(prompt={"id": "p", "variables": {}}), 0),
    "responses reference": (responses({"id": "msg_1"}), 0),
    "responses named reference": (responses({"type": "item_reference", "id": "msg_1"}), 0),
    "responses reasoning by id": (responses({"type": "reasoning", "id": "rs_1", "summary": []}), 0),
    "responses unheard of": (responses({"type": "hologram"}), 0),
    "gemini file": (gemini({"fileData": {"fileUri": WEB, "mimeType": "image/png"}}), 0),
    "gemini file, the other way": (gemini({"file_data": {"file_uri": WEB}}), 0),
    "gemini video": (gemini({"inlineData": {"mimeType": "video/mp4", "data": DATA}}), -len(DATA)),
    "gemini sound": (gemini({"inlineData": {"mimeType": "audio/flac", "data": DATA}}), -len(DATA)),
    "gemini nobody knows what": (gemini({"inlineData": {"data": DATA}}), -len(DATA)),
    "gemini at a resolution of its own": (gemini({"text": "", "mediaResolution": {"numTokens": 10**6}}), 0),
    "gemini cached": (gemini(cachedContent="cachedContents/x"), 0),
    "gemini cached, the other way": (gemini(cached_content="cachedContents/x"), 0),
    "gemini unheard of": (gemini({"hologram": {}}), 0),
    "converse pdf": (converse({"document": {"format": "pdf", "source": {"bytes": DATA}}}), -len(DATA)),
    "converse document elsewhere": (converse({"document": {"format": "txt", "source": {"s3Location": {"uri": "s"}}}}), 0),
    "converse video": (converse({"video": {"source": {"s3Location": {}}}}), 0),
    "converse sound": (converse({"audio": {"source": {"bytes": DATA}}}), 0),
    "converse template": (converse(promptVariables={"a": {"text": "b"}}), 0),
    "converse stored prompt": (converse(model="arn:aws:bedrock:us-east-1:1:prompt/PROMPT12345:1"), 0),
    "embedded pictures": (reach(EMBEDDINGS, {"input": [{"image": WEB}]}), 0),
}  # fmt: skip


@pytest.mark.parametrize(("found", "tokens"), UNBOUNDED.values(), ids=UNBOUNDED.keys())
def test_what_its_bytes_do_not_bound_is_held_as_a_whole_window(found, tokens):
    assert found == Reach(tokens, unseen=True, anew=found.anew)


def claude_tools(*tools, **more):
    found = claude(tools=list(tools), **more)
    assert found.anew
    return found.tokens - PROMPT_TOKENS, found.unseen, found.rounds, found.uses


def search(uses):
    return (("web_search", uses),)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (claude_tools({"name": "f", "input_schema": SCHEMA}, {"type": "custom", "name": "g"}), (0, False, 1, ())),
        (claude_tools({"type": "bash_20250124"}, {"type": "computer_20251124"}), (2 * TOOL_TOKENS, False, 1, ())),
        (claude_tools({"type": "web_search_20260318"}), (SEARCHED_TOKENS, False, ROUNDS, search(USES))),
        (claude_tools({"type": "web_search_20250305", "max_uses": 5}), (SEARCHED_TOKENS, False, 6, search(5))),
        (claude_tools({"type": "web_search_20250305", "max_uses": 50}), (SEARCHED_TOKENS, False, ROUNDS, search(50))),
        (claude_tools({"type": "web_search_20250305", "max_uses": -1}), (SEARCHED_TOKENS, False, ROUNDS, search(USES))),
        (
            claude_tools({"type": "web_search_20250305", "max_uses": 2}, {"type": "web_fetch_20250910", "max_uses": 3}),
            (SEARCHED_TOKENS, True, 6, search(2)),
        ),
        (claude_tools({"type": "web_search_20250305", "max_uses": 2}, {"type": "code_execution_20260521"}),
         (SEARCHED_TOKENS, True, ROUNDS, search(2))),
        (claude_tools({"type": "tool_search_tool_bm25_20251119"}), (0, False, ROUNDS, ())),
        (claude_tools({"type": "mcp_toolset"}), (0, True, ROUNDS, ())),
        (claude_tools({"type": ["web_search"]}), (0, True, ROUNDS, ())),
        (claude_tools({"name": "f"}, mcp_servers=[{"url": WEB}]), (0, True, ROUNDS, ())),
        (claude_tools({"name": "f"}, fallbacks=[{"model": "a"}, {"model": "b"}]), (0, False, 3, ())),
        (claude_tools({"type": "web_search_20250305", "max_uses": 1}, fallbacks="default"),
         (SEARCHED_TOKENS, False, 4, search(1))),
        (claude_tools({"name": "f"}, context_management={"edits": [{"type": "compact_20260112"}]}), (0, False, 2, ())),
    ],
)  # fmt: skip
def test_claudes_tools_have_it_asked_again_in_full_up_to_ten_times(found, expected):
    assert found == expected


def test_a_tool_that_a_message_adds_is_a_tool():
    added = {"type": "tool_addition", "tool": {"definition": {"type": "web_search_20260318", "max_uses": 1}}}
    assert claude(added) == Reach(SEARCHED_TOKENS, rounds=2, anew=True, uses=search(1))


def openai_tools(*tools, **more):
    found = responses(tools=list(tools), **more)
    assert not found.anew
    return found.tokens - PROMPT_TOKENS, found.unseen, found.rounds, found.uses


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (openai_tools({"type": "function", "name": "f"}, {"type": "namespace", "tools": []}), (0, False, 1, ())),
        (openai_tools({"type": "computer"}, {"type": "local_shell"}), (2 * TOOL_TOKENS, False, 1, ())),
        (openai_tools({"type": "shell", "environment": {"type": "local"}}), (TOOL_TOKENS, False, 1, ())),
        (openai_tools({"type": "tool_search", "execution": "client"}), (TOOL_TOKENS, False, 1, ())),
        (openai_tools({"type": "web_search"}), (SEARCHED_TOKENS, False, ROUNDS, search(USES))),
        (openai_tools({"type": "web_search_preview_2025_03_11"}, max_tool_calls=2),
         (SEARCHED_TOKENS, False, 3, search(2))),
        (openai_tools({"type": "web_search"}, {"type": "file_search"}, max_tool_calls=40),
         (2 * SEARCHED_TOKENS, False, 41, (("web_search", 40), ("file_search", 40)))),
        (
            openai_tools({"type": "web_search"}, {"type": "web_search_preview"}, max_tool_calls=2),
            (2 * SEARCHED_TOKENS, False, 3, search(4)),
        ),
        (openai_tools({"type": "code_interpreter"}, max_tool_calls=2), (0, True, 3, (("code_session", 1),))),
        (openai_tools({"type": "shell", "environment": {"type": "container_auto"}}),
         (0, True, ROUNDS, (("code_session", 1),))),
        (openai_tools({"type": "image_generation"}, max_tool_calls=1), (PICTURE_TOKENS, False, 2, (("images", 1),))),
        (openai_tools({"type": "mcp", "server_url": WEB}), (0, True, ROUNDS, ())),
        (openai_tools({"type": "tool_search"}), (0, False, ROUNDS, ())),
        (openai_tools({"type": "hologram"}), (0, True, ROUNDS, ())),
        (openai_tools({"type": {}}), (0, True, ROUNDS, ())),
        (openai_tools({"type": "custom"}, context_management=[{"type": "compaction"}]), (0, False, 2, ())),
    ],
)  # fmt: skip
def test_openais_tools_have_it_asked_again_as_often_as_the_request_allows(found, expected):
    assert found == expected


def test_a_tool_that_an_item_adds_is_a_tool():
    found = responses({"type": "additional_tools", "tools": [{"type": "mcp"}]}, max_tool_calls=4)
    assert found == Reach(unseen=True, rounds=5)


def test_a_conversation_that_is_to_be_summed_up_is_read_once_more():
    assert responses({"type": "compaction_trigger"}) == Reach(rounds=2)


@pytest.mark.parametrize(
    "more",
    [
        {"web_search_options": {}},
        {"plugins": [{"id": "web"}]},
        {"search_parameters": {"mode": "auto"}},
        {"enable_search": True},
        {"model": "openai/gpt-5:online"},
    ],
)
def test_a_chat_that_is_searched_for_costs_its_searches(more):
    assert chat(**more) == Reach(SEARCHED_TOKENS, rounds=ROUNDS, uses=search(USES))


def test_a_tool_of_a_vendors_own_in_a_chat_may_bring_anything():
    assert chat(tools=[{"type": "browser_search"}]) == Reach(PROMPT_TOKENS, unseen=True, rounds=ROUNDS)
    functions = [{"type": "function", "function": {"name": "f"}}, {"type": "custom"}]
    assert chat(tools=functions) == chat(functions=[{"name": "f"}]) == Reach(PROMPT_TOKENS)


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ([{"googleSearch": {}}], Reach(SEARCHED_TOKENS, rounds=2, anew=True, uses=search(USES))),
        ([{"google_search_retrieval": {}}], Reach(SEARCHED_TOKENS, rounds=2, anew=True, uses=search(USES))),
        ({"urlContext": {}}, Reach(unseen=True, rounds=2, anew=True)),
        ([{"code_execution": {}}, {"functionDeclarations": []}], Reach(unseen=True, rounds=2, anew=True)),
        ([{"computerUse": {}}], Reach(TOOL_TOKENS, anew=True)),
        ([{"functionDeclarations": [{"name": "f"}]}], Reach(anew=True)),
        ([{"hologram": {}}], Reach(unseen=True, rounds=2, anew=True)),
    ],
)
def test_googles_tools_are_read_once_beside_the_prompt(tools, expected):
    assert gemini(tools=tools) == replace(expected, tokens=expected.tokens + PROMPT_TOKENS)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, Reach(PROMPT_TOKENS, anew=True)),
        (
            {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
            Reach(PROMPT_TOKENS, unseen=True, rounds=ROUNDS, anew=True),
        ),
        (
            {"additionalModelRequestFields": {"tools": [{"type": "web_search_20250305", "max_uses": 1}]}},
            Reach(SEARCHED_TOKENS, rounds=2, anew=True, uses=search(1)),
        ),
    ],
)
def test_tools_at_bedrock_are_tools(more, expected):
    assert converse(**more) == expected


@pytest.mark.parametrize(
    ("dialect", "document"),
    [
        (CHAT_COMPLETIONS, {"model": "m", "n": 3}),
        (GEMINI, {"generationConfig": {"candidateCount": "3"}}),
        (IMAGES, {"prompt": "a cat", "n": 3}),
    ],
)
def test_how_many_answers_are_asked_for_is_known(dialect, document):
    assert dialect.ask(document, "m").answers == 3


def test_the_highest_limit_of_all_models_that_may_answer_counts():
    fallbacks = [{"model": "a", "max_tokens": 500}, {"model": "b"}]
    assert MESSAGES.ask({"model": "m", "max_tokens": 9, "fallbacks": fallbacks}).output_limit == 500
    more = {"inferenceConfig": {"maxTokens": 9}, "additionalModelRequestFields": {"max_tokens": 500}}
    assert CONVERSE.ask(more, "m").output_limit == 500


NAMES_OF_ALL = sorted(
    {
        *(
            "messages",
            "content",
            "type",
            "role",
            "source",
            "data",
            "tools",
            "tool",
            "definition",
            "max_uses",
            "system",
        ),
        *(
            "container",
            "thread",
            "fallbacks",
            "context_management",
            "edits",
            "mcp_servers",
            "input",
            "instructions",
        ),
        *(
            "image_url",
            "url",
            "file",
            "file_data",
            "output",
            "environment",
            "execution",
            "prompt",
            "max_tool_calls",
        ),
        *(
            "plugins",
            "model",
            "audio",
            "contents",
            "parts",
            "inlineData",
            "inline_data",
            "mimeType",
            "mediaResolution",
        ),
        *(
            "functionResponse",
            "cachedContent",
            "requests",
            "toolConfig",
            "systemTool",
            "document",
            "image",
            "video",
        ),
        *(
            "toolResult",
            "guardContent",
            "additionalModelRequestFields",
            "anthropic_version",
            "images",
            "mask",
        ),
    }
)
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([PNG, PDF, WEB, "", "image", "web_search"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES_OF_ALL), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "dialect",
    [
        MESSAGES,
        CHAT_COMPLETIONS,
        RESPONSES,
        EMBEDDINGS,
        IMAGES,
        GEMINI,
        GEMINI_EMBEDDINGS,
        CONVERSE,
        INVOKE_MODEL,
    ],
    ids=lambda dialect: dialect.name,
)
@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES_OF_ALL), junk, max_size=6))
def test_whatever_shape_a_request_has_it_is_weighed_or_refused(dialect, document):
    try:
        found = dialect.ask(document, "m").reach
    except Refusal:
        return
    assert found.rounds >= 1
    assert all(uses >= 0 for _, uses in found.uses)
