/** Promise K4: a binding key that was sealed to a backend's own key opens there, and nowhere else. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { newKeyPair, openSealed, readBindingKey } from "../src/index.js";

const { private_jwk: own, sealed, binding_key: exported } = JSON.parse(
  readFileSync(new URL("../../../sealed.json", import.meta.url), "utf8"),
);

test("a sealed key opens with the backend's private key", async () => {
  assert.deepEqual(await openSealed(own, sealed), readBindingKey(exported));
  assert.deepEqual(await openSealed(own, JSON.stringify(sealed)), readBindingKey(exported));
});

test("it opens with no other key", async () => {
  const { privateKey, publicKey } = await newKeyPair();
  assert.match(publicKey, /^[A-Za-z0-9_-]{43}$/);
  await assert.rejects(openSealed(privateKey, sealed), /does not open/);
});

test("what was changed on its way does not open", async () => {
  const whole = Buffer.from(sealed.enc_ct, "base64url");
  const changed = [{ key_id: "another" }, { aud: "vis:another" }, { enc_ct: "AAAA" }, { enc_ct: "" }, { enc_ct: "*" }];
  for (let at = 0; at < whole.length; at++) {
    const copy = Buffer.from(whole);
    copy.writeUInt8(whole.readUInt8(at) ^ 1, at);
    changed.push({ enc_ct: copy.toString("base64url") });
  }
  for (const part of changed) await assert.rejects(openSealed(own, { ...sealed, ...part }), /does not open/);
});

test("what is no sealed key is refused with what was expected", async () => {
  const thumbprint = "0".repeat(64);
  await assert.rejects(openSealed(own, { ...sealed, thumbprint }), /not the key that its thumbprint names/);
  await assert.rejects(openSealed(own, { ...sealed, v: 2 }), /a newer gateway needs a newer client/);
  await assert.rejects(openSealed(own, { ...sealed, kem: "mlkem768" }), /a newer gateway needs a newer client/);
  for (const bad of ["{", "null", "{}"]) await assert.rejects(openSealed(own, bad), /expected JSON/);
});
