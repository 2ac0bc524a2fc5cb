"""The 55 attacks: what is attempted, what is expected, and which part has to be built before it can be tried.

`make redteam` prints one line for each; docs/reference/red-team.md is such a run.
"""

import os
from dataclasses import dataclass

IS_LONG = "VIS_REDTEAM" in os.environ
"""Whether this is `make redteam`, which tries more of the same."""
TOKENS = 1_000_000 if IS_LONG else 20_000
"""Random and mutated tokens."""
RACES = 1_000 if IS_LONG else 50
"""Proofs that two gateways race for."""
SAMPLES = 20_000 if IS_LONG else 2_000
"""Of each kind, where two times are compared."""
FLOOD = 20_000 if IS_LONG else 1_000
"""Bad tokens that come at once."""


@dataclass(frozen=True)
class Attack:
    attempted: str
    expected: str
    pending: str = ""
    """The part that has to be built before any of it can be tried."""
    rest: str = ""
    """The parts that have to be built before the rest can be tried."""


ATTACKS = {
    1: Attack(
        "flip every byte of a token; swap head, payload and signature of two",
        "401, no row, one counter",
    ),
    2: Attack(
        "other version and algorithm bytes; JWT `none`, HS256 with our public key, PASETO",
        "401 malformed before any key is used",
    ),
    3: Attack("an unknown kid; a kid that collides with a trusted key", "401 invalid, nothing fetched"),
    4: Attack("other base64 spellings, padding, white space, NUL, checksum in other case", "401"),
    5: Attack("claims with names twice, NaN, 1e999, 2,000 digits, 2,000 levels, rightly signed", "401, never 500"),
    6: Attack("a token before nbf, after exp, with iat after exp; the second at the border", "the exact code each"),
    7: Attack(
        "one proof twice, at two gateways at once, after a restart, after the database went back in time",
        "one success each",
    ),
    8: Attack("another body under a proof: swapped, one byte more, written anew, gzip, chunked", "401 invalid"),
    9: Attack("another path, query, method, caller, content type; the proof of another token", "401 invalid"),
    10: Attack(
        "another organisation's binding key; a sealed key's row moved between keys and organisations",
        "401; it does not open",
    ),
    11: Attack("the proof left out at L3, twice, in another case, joined with a comma", "401"),
    12: Attack("burn captured nonces with a wrong MAC", "the victim's request succeeds"),
    13: Attack("time a nearly right MAC against a random one, a known key id against an unknown one", "no separation"),
    14: Attack("a child wider than its parent in any claim; a child of a revoked parent", "refused, dead at once"),
    15: Attack(
        "calls in parallel at two gateways on a small cap, streams and disconnects among them; rotate for a new window",
        "no overspend, no negative counter, the window stays",
    ),
    16: Attack(
        "hold every cookie, the operator's links, logs and a dump of the database; spend, mint, lower a floor",
        "nothing is spent, no key is read, no page changes anything",
        rest="step-up of web sign-in",
    ),
    17: Attack("go on calling when the key, the person or the token is revoked mid-stream", "new calls refused within 2 s", rest="HRIS feed"),
    18: Attack("requests that can be read in two ways: CL and TE, bare LF, obs-fold, two hosts …", "400, closed", rest="a real ingress"),
    19: Attack("X-Forwarded-For that claims an allowed network", "only configured hops are believed"),
    20: Attack("headers of ours from outside, and `Connection: X-Acc-Binding`", "refused or stripped"),
    21: Attack("double slashes, escaped dots, parameters, other case", "400 or 404, never another policy"),
    22: Attack("slow heads and bodies, endless heads, bodies over the limit, 100,000 parts", "time-out, 413 or 431"),
    23: Attack("gzip, brotli and nested bombs", "415 before a byte is unpacked"),
    24: Attack("JSON that is deep, wide, has huge strings, lone surrogates", "400"),
    25: Attack("a mapping file in YAML with aliases, tags, merge keys, 10 MB", "refused"),
    26: Attack("`model` twice in one body", "400, the provider sees nothing"),
    27: Attack("every page with another organisation's ids", "as if it were not there", rest="evidence packs, live topics"),
    28: Attack("application roles with another organisation's setting, or none", "zero rows"),
    29: Attack("change state from another site; show a page in a frame", "403; never framed"),
    30: Attack("markup through every text that a client or an operator gives", "shown as text", rest="PDF, charts"),
    31: Attack("cells that a spreadsheet would run", "guarded, and money is not"),
    32: Attack("fix a session, keep it after signing out, read its cookie", "refused", rest="web sign-in (Secure, __Host-)"),
    33: Attack("unknown and absurd fields when minting; a negative markup", "refused"),
    34: Attack("leave for another site by `next` and by a foreign host", "stays here or 400"),
    35: Attack(
        "provider and webhook addresses of the machine's metadata service; redirects; user names",
        "refused, never followed",
        rest="connectors, SAML, OIDC, MCP gateway",
    ),
    36: Attack("a webhook forged, changed, sent again", "its signature, time and id tell"),
    37: Attack("a provider that says our key back", "neither client nor log has it"),
    38: Attack("canary secrets through every route, answered and refused", "found nowhere", rest="evidence packs, PII"),
    39: Attack("line ends and terminal codes in what is logged", "one JSON line each"),
    40: Attack("a hijacked dependency", "every package by hash, litellm never", rest="SBOM in evidence packs"),
    41: Attack("SAML: wrapping, duplicate ids, stripped signature, entities, replay", "refused", pending="SAML"),
    42: Attack("OIDC: wrong issuer, audience, nonce; mix-up; unverified e-mail", "refused", pending="web sign-in"),
    43: Attack("OAuth: no PKCE, code twice, redirect tricks", "refused", pending="web sign-in"),
    44: Attack("SCIM: filter injection, filters that return everyone, `active` as text", "400 or revoked", pending="SCIM"),
    45: Attack("a forged feed, leavers out of order, a mass of leavers", "held, named leavers die", pending="HRIS feed"),
    46: Attack("MCP: a token for somebody else passed through", "refused", pending="MCP gateway"),
    47: Attack("MCP: confused deputy with a static client id", "consent per client", pending="MCP gateway"),
    48: Attack("a failed authentication that becomes somebody anonymous", "no principal, no call", pending="MCP gateway"),
    49: Attack("MCP: tools that change after consent", "disabled until approved", pending="MCP gateway"),
    50: Attack("MCP: a result with injection, or of 50 MB", "capped, marked", pending="MCP gateway"),
    51: Attack("MCP: another's session id, another's stream", "bound to its principal", pending="MCP gateway"),
    52: Attack("an application changes or removes a row of the ledger", "refused by the database"),
    53: Attack("a database administrator edits a row", "the row says so", rest="evidence packs (deleted tail, old backup)"),
    54: Attack("evidence packs: edited, re-signed, another's, rows left out", "an exit code each", pending="evidence packs"),
    55: Attack("a flood of bad tokens", "bounded growth, good calls answered"),
}  # fmt: skip
