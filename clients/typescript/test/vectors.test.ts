/** Promise K4: a proof is the same whoever makes it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { BadBindingKey, CannotSign, createSigner, readBindingKey, type ExportedBindingKey } from "../src/index.js";

interface Vector {
  name: string;
  binding_key: ExportedBindingKey;
  caller: string;
  base_path: string;
  at: number;
  nonce: string;
  method: string;
  target: string;
  headers: Record<string, string>;
  body: string;
  x_acc_caller: string;
  x_acc_binding: string;
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL("../../../vectors.json", import.meta.url), "utf8"));
const first = vectors[0] as Vector;
const bearer = new Headers({ authorization: "Bearer visk_live_x" });
const bindingKey = readBindingKey(first.binding_key);
const nothing = new Uint8Array();

for (const vector of vectors) {
  test(`the helper signs as the vectors say: ${vector.name}`, async () => {
    const signer = await createSigner({
      bindingKey: readBindingKey(vector.binding_key),
      caller: vector.caller,
      basePath: vector.base_path,
      now: () => vector.at * 1000 + 999,
      nonce: () => Uint8Array.from(Buffer.from(vector.nonce, "base64")),
    });
    const body = Uint8Array.from(Buffer.from(vector.body, "base64"));
    assert.deepEqual(await signer.headers(vector.method, vector.target, new Headers(vector.headers), body), {
      "X-Acc-Caller": vector.x_acc_caller,
      "X-Acc-Binding": vector.x_acc_binding,
    });
  });
}

test("each attempt has a nonce of its own", async () => {
  const signer = await createSigner({ bindingKey, caller: "svc:a" });
  const made = new Set<string | undefined>();
  for (let count = 0; count < 500; count++) {
    made.add((await signer.headers("GET", "/v1/models", bearer, nothing))["X-Acc-Binding"].split(";")[3]);
  }
  assert.equal(made.size, 500);
});

test("a binding key that is none is refused in words that do not repeat it", () => {
  const good = first.binding_key;
  const mistyped = good.key.replace("visb_live_A", "visb_live_B");
  const bad: [unknown, RegExp][] = [
    ["{", /expected JSON/],
    ["null", /key_id/],
    [{ ...good, key: mistyped }, /its checksum/],
    [{ ...good, key: good.key + "\n" }, /expected visb_live_/],
    [{ ...good, key: undefined }, /expected visb_live_/],
    [{ ...good, key_id: "k;t=0" }, /1 to 64 letters/],
    [{ ...good, aud: "" }, /the installation's id/],
  ];
  for (const [said, words] of bad) {
    assert.throws(
      () => readBindingKey(said as string),
      (thrown: Error) => thrown instanceof BadBindingKey && words.test(thrown.message) && !/AECAwQ/.test(thrown.message),
    );
  }
  assert.deepEqual(readBindingKey(JSON.stringify(good)), readBindingKey(good));
});

test("a request without one credential is not signed", async () => {
  const signer = await createSigner({ bindingKey, caller: "svc:a" });
  const two = new Headers({ authorization: "Bearer visk_live_a", "x-api-key": "visk_live_b" });
  const twice = new Headers({ authorization: "Bearer visk_live_a", "x-api-key": "visk_live_a" });
  await assert.rejects(signer.headers("GET", "/v1/models", new Headers(), nothing), /none came/);
  await assert.rejects(signer.headers("GET", "/v1/models", two, nothing), /two different ones came$/);
  assert.ok(await signer.headers("GET", "/v1/models", twice, nothing));
});

test("what is not below the gateway's path is not signed", async () => {
  const signer = await createSigner({ bindingKey, caller: "svc:a", basePath: "/ai/" });
  for (const target of ["/v1/messages", "/ai", "/ai?a=/ai/v1", "/aim/v1", "*"]) {
    await assert.rejects(signer.headers("POST", target, bearer, nothing), CannotSign);
  }
});

test("a caller that no header can carry is refused at once", async () => {
  for (const caller of ["", "two words", "ü", "x".repeat(129), "a\n"]) {
    await assert.rejects(createSigner({ bindingKey, caller }), /1 to 128 visible ASCII/);
  }
});
