"""What botocore signs is believed, and nothing that differs from it in any way."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from msgspec.structs import replace

from visionality.core.aws_signature import BadSignature, access_key, is_signed, read, secret_key, verify
from visionality.core.call import Request

AT_REST = bytes(range(32))
PAIRING = b"pairing" * 5
ACCESS, SECRET = access_key(AT_REST), secret_key(PAIRING, AT_REST)
PATH = "/bedrock/model/arn%3Aaws%3Abedrock%3A%3A1%2Fus.anthropic.claude-v1%3A0/converse"


def signed(path=PATH, query="", body=b'{"messages":[]}', secret=SECRET, token=None, **headers):
    url = f"http://127.0.0.1:4000{path}" + (f"?{query}" if query else "")
    request = AWSRequest("POST", url, headers={"content-type": "application/json", **headers}, data=body)
    SigV4Auth(Credentials(ACCESS, secret, token), "bedrock", "eu-west-1").add_auth(request)
    pairs = [(b"host", b"127.0.0.1:4000")]
    pairs += [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    return Request("POST", path, query, tuple(pairs), body)


def check(request, now=None):
    signature = read(request.header(b"authorization"))
    assert signature.handle_at_rest == AT_REST
    verify(signature, SECRET, request, now or datetime.now(UTC))  # noqa: TID251 -- botocore signs by the real time


def with_header(request, name, value):
    kept = tuple(header for header in request.headers if header[0] != name)
    return replace(request, headers=((*kept, (name, value)) if value is not None else kept))


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"path": "/model/amazon.nova-lite-v1:0/invoke"},
        {"path": "/model/a~b%2Fc/invoke", "query": "b=2&a=1&a=0&c"},
        {"body": b""},
        {"token": "session"},
        {"X-Amzn-Bedrock-Trace": "  two   spaces "},
    ],
)
def test_what_botocore_signs_is_believed(parts):
    check(signed(**parts))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: replace(r, body=r.body + b" "),
        lambda r: replace(r, path=r.path.replace("converse", "invoke")),
        lambda r: replace(r, path=r.path.replace("%3A", ":")),
        lambda r: replace(r, query="a=1"),
        lambda r: replace(r, method="PUT"),
        lambda r: with_header(r, b"host", b"elsewhere.example"),
        lambda r: with_header(r, b"content-type", b"text/plain"),
        lambda r: with_header(r, b"content-type", None),
        lambda r: with_header(r, b"x-amz-date", None),
        lambda r: with_header(r, b"x-amz-date", b"yesterday"),
        lambda r: with_header(r, b"x-amz-security-token", b"added"),
        lambda r: with_header(r, b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
        lambda r: replace(r, headers=(*r.headers, (b"host", b"127.0.0.1:4000"))),
    ],
)
def test_what_differs_from_what_was_signed_is_not_believed(spoil):
    with pytest.raises(BadSignature):
        check(spoil(signed()))


def test_another_secret_is_not_believed():
    with pytest.raises(BadSignature, match="not that of this request"):
        check(signed(secret=secret_key(PAIRING, b"\0" * 32)))
    with pytest.raises(BadSignature, match="not that of this request"):
        check(signed(secret=secret_key(b"another installation", AT_REST)))


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24])
def test_an_old_signature_and_one_of_the_future_are_not_believed(minutes):
    now = datetime.now(UTC) + timedelta(minutes=minutes)  # noqa: TID251 -- as above
    with pytest.raises(BadSignature, match="5 minutes"):
        check(signed(), now)


@pytest.mark.parametrize(
    "text",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=" + ACCESS + "/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=, Signature=" + "0" * 64,
        "AWS4-ECDSA-P256-SHA256 Credential=x",
    ],
)  # fmt: skip
def test_what_is_no_signature_for_bedrock_is_refused(text):
    with pytest.raises(BadSignature):
        read(text)


@pytest.mark.parametrize(
    "access", ["AKIDEXAMPLE7654327AB", ACCESS[:-1], ACCESS + "A", "VISK" + "A" * 51 + "B"]
)
def test_an_access_key_that_is_not_ours_names_no_handle(access):
    text = f"AWS4-HMAC-SHA256 Credential={access}/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature={'0' * 64}"
    assert read(text).handle_at_rest == b""


def test_only_this_kind_of_credential_counts_as_signed():
    assert is_signed("AWS4-HMAC-SHA256 Credential=…")
    assert not is_signed("Bearer visk_live_…")
    assert not is_signed("")
