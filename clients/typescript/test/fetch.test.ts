/** Promises K3, K4: what leaves through `fetch` carries a proof of its own, each retry of an SDK too. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { toFile } from "openai";

import { createSigner, mint, MintRefused, readBindingKey, signedFetch } from "../src/index.js";
import { gatewayThatAnswers, type Answer, type Gateway } from "./gateway.js";

const TOKEN = "vis2_live_" + "aB3-_".repeat(20);
const [{ binding_key: exported }] = JSON.parse(readFileSync(new URL("../../../vectors.json", import.meta.url), "utf8"));
const signer = await createSigner({ bindingKey: readBindingKey(exported), caller: "svc:checkout-api" });
const headers = { authorization: `Bearer ${TOKEN}` };

const failed: Answer = { status: 500, headers: { "retry-after-ms": "1" }, said: { error: { message: "once more" } } };
const limited: Answer = { ...failed, status: 429 };
const done: Answer = { status: 200, said: {} };
const minted = { token: TOKEN, jti: "0197", expires_at: "2026-11-22T08:00:00Z", cap_usd: "0.50" };

async function against(answers: [Answer, ...Answer[]], act: (gateway: Gateway) => Promise<void>): Promise<void> {
  const gateway = await gatewayThatAnswers(...answers);
  try {
    await act(gateway);
  } finally {
    await gateway.close();
  }
}

function check(gateway: Gateway, requests: number): void {
  assert.deepEqual(gateway.seen.map((seen) => seen.proven), Array(requests).fill(true));
  assert.equal(new Set(gateway.seen.map((seen) => seen.nonce)).size, requests);
}

test("openai signs each of its retries", () =>
  against([failed, limited, { status: 200, said: { id: "c" } }], async (gateway) => {
    const sdk = new OpenAI({ apiKey: TOKEN, baseURL: `${gateway.url}/v1`, fetch: signedFetch(signer) });
    const asked = { model: "m", messages: [{ role: "user" as const, content: "Σύνολο ✓" }] };
    assert.equal((await sdk.chat.completions.create(asked)).id, "c");
    check(gateway, 3);
  }));

test("openai signs a file that it uploads", () =>
  against([{ status: 200, said: { id: "f" } }], async (gateway) => {
    const sdk = new OpenAI({ apiKey: TOKEN, baseURL: `${gateway.url}/v1`, fetch: signedFetch(signer) });
    const file = await toFile(Buffer.from("{}\n"), "lines.jsonl");
    assert.equal((await sdk.files.create({ file, purpose: "batch" })).id, "f");
    check(gateway, 1);
    assert.match(gateway.seen[0]?.headers["content-type"] ?? "", /^multipart\/form-data; boundary=/);
  }));

test("anthropic signs each of its retries", () =>
  against([failed, limited, { status: 200, said: { id: "m" } }], async (gateway) => {
    const sdk = new Anthropic({ apiKey: TOKEN, baseURL: gateway.url, fetch: signedFetch(signer) });
    const asked = { model: "m", max_tokens: 9, messages: [{ role: "user" as const, content: "Σύνολο ✓" }] };
    assert.equal((await sdk.messages.create(asked)).id, "m");
    check(gateway, 3);
  }));

test("fetch signs every kind of body, and targets as they are sent", () =>
  against([done], async (gateway) => {
    const signed = signedFetch(signer);
    const pieces = new Blob(["a", "b"]).stream();
    const form = new FormData();
    form.set("a", new Blob(["1"]), "a.txt");
    const bodies = ["text", new Uint8Array([0, 255]), new URLSearchParams({ a: "1" }), form, pieces, new Blob(["x"])];
    for (const body of bodies) {
      await signed(`${gateway.url}/v1/a`, { method: "POST", headers, body, duplex: "half" } as RequestInit);
    }
    await signed(new Request(`${gateway.url}/v1/a`, { method: "PUT", headers, body: "of a Request" }));
    await signed(new URL(`${gateway.url}/v1/files/a%2Fb%20c?after=x%2By&name=Σ#fragment`), { headers });
    await signed(`${gateway.url}/v1/models?`, { headers });
    check(gateway, 9);
    assert.equal(gateway.seen[6]?.body.toString(), "of a Request");
    assert.equal(gateway.seen[7]?.target, "/v1/files/a%2Fb%20c?after=x%2By&name=%CE%A3");
  }));

test("a request that is aborted stays aborted", () =>
  against([done], async (gateway) => {
    const signal = AbortSignal.abort();
    await assert.rejects(signedFetch(signer)(gateway.url, { headers, signal }), { name: "AbortError" });
    await assert.rejects(signedFetch(signer)(new Request(gateway.url, { headers, signal })), { name: "AbortError" });
    assert.equal(gateway.seen.length, 0);
  }));

test("a token is minted with a proof and the claims that were asked for", () =>
  against([{ status: 201, said: minted }], async (gateway) => {
    const asked = { cap_usd: "0.50", ttl_seconds: 60, customer_id: "pjm", models: ["gpt-4.1*"] };
    assert.deepEqual(await mint(`${gateway.url}/`, TOKEN, signer, asked), minted);
    check(gateway, 1);
    assert.equal(gateway.seen[0]?.target, "/spend-tokens");
    assert.deepEqual(JSON.parse(String(gateway.seen[0]?.body)), asked);
  }));

test("a refusal says what the gateway said", () =>
  against([{ status: 403, said: { error: { code: "wider_than_parent", message: "at most 5" } } }], async (gateway) => {
    const refused = await mint(gateway.url, TOKEN, signer, { cap_usd: "9", ttl_seconds: 60 }).catch((error) => error);
    assert.ok(refused instanceof MintRefused);
    assert.deepEqual([refused.status, refused.code, refused.message], [403, "wider_than_parent", "at most 5"]);
  }));

test("an answer that is not the gateway's is said to be none", () =>
  against([{ status: 502, said: "no" }], async (gateway) => {
    const minting = mint(gateway.url, TOKEN, signer, { cap_usd: "9", ttl_seconds: 60 });
    await assert.rejects(minting, /answered 502 without saying why/);
  }));

test("a credential follows no redirect", () =>
  against([{ status: 307, headers: { location: "/elsewhere" }, said: {} }, { status: 201, said: minted }], async (gateway) => {
    await assert.rejects(mint(gateway.url, TOKEN, signer, { cap_usd: "9", ttl_seconds: 60 }), { status: 307 });
    assert.equal(gateway.seen.length, 1);
  }));
