"""Amazon Bedrock Runtime (AWS, August 2026), in the region that its address names.

Its key is a Bedrock API key, sent as a bearer token, or `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`, with which
each call is signed anew (gateway/sigv4.py).
"""

from visionality.gateway.dialects import CONVERSE, INVOKE_MODEL
from visionality.gateway.providers._core import Provider, Route
from visionality.gateway.sigv4 import key_pair


def _model_route(verb: str) -> str:
    return "/model/{model_id}/" + verb


BEDROCK = Provider(
    name="bedrock",
    base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
    key_header=b"authorization",
    key_prefix=b"Bearer ",
    routes=(
        *(
            Route("POST", _model_route(verb), _model_route(verb), CONVERSE, "model_call")
            for verb in ("converse", "converse-stream")
        ),
        *(
            Route("POST", _model_route(verb), _model_route(verb), INVOKE_MODEL, "model_call")
            for verb in ("invoke", "invoke-with-response-stream")
        ),
        Route("POST", _model_route("count-tokens"), _model_route("count-tokens"), CONVERSE, "free"),
    ),
    prices="aws",
    signer=key_pair,
)
