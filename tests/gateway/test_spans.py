"""Issue 8, operating it: a row is a span by the GenAI conventions, and no collector holds a call up."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.calls import CHAT, CLAUDE, GPT, MESSAGES, Caller, ask, body_of, complaints, new_id
from product import PATIENCE, VIS, running_in, set_up
from visionality.core.money import usd

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
SECRET, PROMPT = "sk-planted-span-4711", "the patient's name is Zebedee"
ANSWER = "quite confidential words"
VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_BSP_SCHEDULE_DELAY")


class Collector(BaseHTTPRequestHandler):
    """OTLP over HTTP, decoded; what it was sent stays on the server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((self.path, dict(self.headers), raw))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        pass


@contextmanager
def collecting() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        server.heard = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def exporting(tmp_path_factory, endpoint: str):
    """A product whose environment names a collector, as OpenTelemetry has it."""
    said = dict(zip(VARIABLES, (endpoint, "x-tenant=ours", "100"), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in said.items():
            patch.setenv(name, value)
        made = tmp_path_factory.mktemp("spans")
        made.chmod(0o755)
        with running_in(made / "data") as product:
            set_up(product)
            yield product


@pytest.fixture(scope="module")
def collector():
    with collecting() as server:
        yield server


@pytest.fixture(scope="module")
def product(collector, tmp_path_factory):
    with exporting(tmp_path_factory, f"http://127.0.0.1:{collector.server_port}") as product:
        yield product


@pytest.fixture(scope="module")
def someone(product):
    return Caller(product, product.issue())


def spans(collector):
    """Every span so far, with the attributes of its resource and its own as plain values."""
    found = []
    for _, _, raw in collector.heard:
        for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
            for scope in resource.scope_spans:
                found += [(plain(resource.resource.attributes), span) for span in scope.spans]
    return found


def plain(attributes):
    return {
        one.key: [value.string_value for value in one.value.array_value.values]
        if one.value.HasField("array_value")
        else getattr(one.value, one.value.WhichOneof("value"))
        for one in attributes
    }


def span_of(product, collector, row):
    """The span of a row, its attributes, and its resource's."""

    def there():
        return [
            (resource, span, plain(span.attributes))
            for resource, span in spans(collector)
            if plain(span.attributes)["visionality.request_log_id"] == str(row["id"])
        ]

    product.until(there)
    ((resource, span, said),) = there()
    return span, said, resource


def post(someone, path, call_id, body, *more, **plan):
    headers = [*someone.headers(path, call_id, **plan), *more]
    return ask(someone.product.gateway, "POST", path, headers, body)


@pytest.mark.parametrize(("path", "model", "stream"), [(CHAT, GPT, False), (MESSAGES, CLAUDE, True)])
def test_a_call_is_a_span_that_says_what_its_row_says(product, collector, someone, path, model, stream):
    call_id = new_id()
    body = body_of(path, stream=stream, messages=[{"role": "user", "content": PROMPT}])
    assert post(someone, path, call_id, body, text=ANSWER).status == 200
    row = someone.row(call_id)
    span, said, resource = span_of(product, collector, row)
    assert (span.name, span.kind) == (f"chat {model}", span.SPAN_KIND_CLIENT)
    assert resource["service.name"] == "visionality-gateway"
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": row["provider"],
        "gen_ai.request.model": model,
        "gen_ai.response.model": row["model_used"],
        "gen_ai.response.finish_reasons": [row["finish"]],
        "gen_ai.usage.input_tokens": row["input_tokens"]
        + row["cache_read_tokens"]
        + row["cache_write_tokens"],
        "gen_ai.usage.output_tokens": row["output_tokens"],
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "visionality.project_id": "HPC",
        "visionality.request_id": str(row["request_id"]),
        "visionality.cost_usd": usd(row["cost_nusd"]),
        "visionality.decision": "allowed",
    }
    assert {name: said[name] for name in expected} == expected
    assert "error.type" not in said
    lasted_ms = (span.end_time_unix_nano - span.start_time_unix_nano) // 1_000_000
    assert lasted_ms == row["latency_ms"]
    assert span.parent_span_id == b""


def test_the_span_of_the_client_is_the_parent_and_nothing_of_ours_goes_to_the_provider(
    product, collector, someone
):
    call_id = new_id()
    sent = [("traceparent", PARENT), ("tracestate", "vendor=1")]
    assert post(someone, CHAT, call_id, body_of(CHAT), *sent).status == 200
    passed = {
        name: value for name, value in someone.seen()["headers"] if name in {"traceparent", "tracestate"}
    }
    span, _, _ = span_of(product, collector, someone.row(call_id))
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.trace_state) == (TRACE, SPAN, "vendor=1")
    assert passed == dict(sent)


@pytest.mark.parametrize(
    "parents",
    [
        ["00-not-a-parent-01"],
        [PARENT, PARENT.replace("b7", "c7")],
        ["00-" + "0" * 32 + "-" + "0" * 16 + "-01"],
        [""],
    ],
    ids=["garbage", "two", "zeros", "empty"],
)
def test_a_parent_that_is_none_is_none(product, collector, someone, parents):
    call_id = new_id()
    assert (
        post(someone, CHAT, call_id, body_of(CHAT), *(("traceparent", one) for one in parents)).status == 200
    )
    span, _, _ = span_of(product, collector, someone.row(call_id))
    assert span.parent_span_id == b""


def test_a_client_that_samples_its_trace_out_gets_no_span(product, collector, someone):
    unsampled, call_id = new_id(), new_id()
    post(someone, CHAT, unsampled, body_of(CHAT), ("traceparent", PARENT[:-2] + "00"))
    post(someone, CHAT, call_id, body_of(CHAT))
    span_of(product, collector, someone.row(call_id))
    told = {plain(span.attributes)["visionality.request_log_id"] for _, span in spans(collector)}
    assert str(someone.row(unsampled)["id"]) not in told


def test_what_failed_says_how(product, collector, someone):
    call_id = new_id()
    assert post(someone, CHAT, call_id, body_of(CHAT), status=429).status == 429
    span, said, _ = span_of(product, collector, someone.row(call_id))
    assert (said["error.type"], said["http.response.status_code"]) == ("429", 429)
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert span.status.message == ""


def test_a_refused_call_never_left_so_it_is_no_call_of_a_client(product, collector):
    capped = Caller(product, product.issue("--cap", "0.000001/month"))
    call_id = new_id()
    assert capped.post(CHAT, call_id).status == 402
    span, said, _ = span_of(product, collector, capped.row(call_id))
    assert span.kind == span.SPAN_KIND_INTERNAL
    assert said["error.type"] == "spend_token_blocked"
    assert "server.address" not in said
    assert said["visionality.cost_usd"] == "0"


def test_no_span_holds_a_prompt_an_answer_a_key_or_a_name(product, collector, someone):
    call_id = new_id()
    body = body_of(CHAT, messages=[{"role": "user", "content": PROMPT}])
    post(someone, CHAT, call_id, body, ("x-secret", SECRET), text=ANSWER)
    span_of(product, collector, someone.row(call_id))
    told = b"".join(raw for _, _, raw in collector.heard)
    for secret in (someone.key, SECRET, PROMPT, ANSWER, "Zebedee", "alice", "Alice K."):
        assert secret.encode() not in told


def test_the_operators_headers_and_path_are_kept(collector, product, someone):
    call_id = new_id()
    post(someone, CHAT, call_id, body_of(CHAT))
    span_of(product, collector, someone.row(call_id))
    path, headers, _ = collector.heard[-1]
    assert path == "/v1/traces"
    assert headers["x-tenant"] == "ours"


def test_a_collector_that_is_away_costs_no_call_anything(tmp_path_factory):
    with collecting() as gone:
        port = gone.server_port
    with exporting(tmp_path_factory, f"http://127.0.0.1:{port}") as product:
        someone = Caller(product, product.issue())
        ids = [new_id() for _ in range(20)]
        assert {someone.post(CHAT, call_id).status for call_id in ids} == {200}
        assert all(someone.row(call_id)["decision"] == "allowed" for call_id in ids)
        assert not [line for line in complaints(product) if "Traceback" in line]


def started(tmp_path, **said: str):
    """`vis gateway` alone, which ends because there is no database, or before that."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIS_", "OTEL_"))
    }
    return subprocess.run(
        [*VIS, "gateway", "--data-dir", str(tmp_path), "--gateway-port", "0"],
        env=environment | said,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_gateway_without_the_library_says_what_to_install(tmp_path):
    hidden = tmp_path / "hidden" / "opentelemetry"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").touch()
    path = os.pathsep.join([str(hidden.parent), *filter(None, sys.path)])
    done = started(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318", PYTHONPATH=path)
    assert done.returncode != 0
    assert "pip install 'visionality[otel]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_protocol_that_is_not_spoken_is_refused(tmp_path):
    done = started(
        tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317", OTEL_EXPORTER_OTLP_PROTOCOL="grpc"
    )
    assert done.returncode != 0
    assert "http/protobuf" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"OTEL_SERVICE_NAME": "gateway"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/x", "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["nothing", "a name only", "empty", "disabled", "none"],
)
def test_where_no_exporter_is_configured_nothing_is_loaded(said):
    program = (
        "import sys, visionality.gateway.app\nfrom visionality.gateway.exporting import exporter\n"
        f"assert exporter({said!r}) is None\nprint(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert not [name for name in loaded.stdout.split() if name.startswith("opentelemetry")]
    assert "visionality.gateway.spans" not in loaded.stdout.split()
