/**
 * Opens a binding key that was sealed to this backend's own X25519 key, so that nobody between could read it.
 *
 * HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; `enc_ct` is the encapsulated key and
 * then the ciphertext. What is sealed is bound to the key's id and to the installation that it is for.
 */

import { bytesOf } from "./base64url.js";
import { BadBindingKey, type BindingKey } from "./binding-key.js";
import { joined } from "./bytes.js";

/** As the gateway's operator hands it over. */
export interface SealedBindingKey {
  readonly v: number;
  readonly key_id: string;
  readonly service: string;
  readonly aud: string;
  readonly kem: string;
  readonly enc_ct: string;
  /** SHA-256 of the key in hex. */
  readonly thumbprint: string;
}

type Bytes = Uint8Array<ArrayBuffer>;

const KEM = joined(["KEM", new Uint8Array([0x00, 0x20])]);
const SUITE = joined(["HPKE", new Uint8Array([0x00, 0x20, 0x00, 0x01, 0x00, 0x02])]);
const NOTHING = new Uint8Array();
const X25519 = { name: "X25519" };

/** A private key to keep, as a JWK, and its public half as `vis service add --x25519` takes it (base64url). */
export async function newKeyPair(): Promise<{ privateKey: JsonWebKey; publicKey: string }> {
  const pair = (await crypto.subtle.generateKey(X25519, true, ["deriveBits"])) as CryptoKeyPair;
  const privateKey = await crypto.subtle.exportKey("jwk", pair.privateKey);
  return { privateKey, publicKey: privateKey.x as string };
}

/** The binding key that was sealed to this private key, given as JSON or as what JSON says. Throws BadBindingKey. */
export async function openSealed(privateKey: JsonWebKey, sealed: string | SealedBindingKey): Promise<BindingKey> {
  const { v, kem, key_id: keyId, aud, enc_ct: encoded, thumbprint } = documentOf(sealed);
  if (![keyId, aud, encoded, thumbprint].every((said) => typeof said === "string")) {
    throw new BadBindingKey("expected JSON with v, key_id, aud, kem, enc_ct and thumbprint");
  }
  if (v !== 1 || kem !== "x25519") {
    throw new BadBindingKey("expected version 1 and kem x25519: a newer gateway needs a newer client");
  }
  const key = await opened(privateKey, encoded, joined(["visionality binding key v1\0", keyId, "\0", aud]));
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", key));
  if (Array.from(found, (byte) => byte.toString(16).padStart(2, "0")).join("") !== thumbprint) {
    throw new BadBindingKey("what was sealed is not the key that its thumbprint names");
  }
  return { keyId, key, aud };
}

function documentOf(sealed: string | SealedBindingKey): SealedBindingKey {
  try {
    return (typeof sealed === "string" ? JSON.parse(sealed) : sealed) ?? {};
  } catch {
    throw new BadBindingKey("expected JSON with v, key_id, aud, kem, enc_ct and thumbprint");
  }
}

async function opened(privateKey: JsonWebKey, encoded: string, info: Bytes): Promise<Bytes> {
  const own = await crypto.subtle.importKey("jwk", privateKey, X25519, false, ["deriveBits"]);
  try {
    const whole = bytesOf(encoded);
    const shared = await decapsulated(own, bytesOf(privateKey.x as string), whole.slice(0, 32));
    const context = joined([
      new Uint8Array([0]),
      await extract(SUITE, NOTHING, "psk_id_hash", NOTHING),
      await extract(SUITE, NOTHING, "info_hash", info),
    ]);
    const secret = await extract(SUITE, shared, "secret", NOTHING);
    const raw = await expand(SUITE, secret, "key", context, 32);
    const iv = await expand(SUITE, secret, "base_nonce", context, 12);
    const aes = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, aes, whole.slice(32)));
  } catch {
    throw new BadBindingKey("it does not open: it was sealed to another key, or changed on its way");
  }
}

/** The shared secret of an encapsulated key (RFC 9180, section 4.1). */
async function decapsulated(own: CryptoKey, ownPublic: Bytes, encapsulated: Bytes): Promise<Bytes> {
  const theirs = await crypto.subtle.importKey("raw", encapsulated, X25519, false, []);
  const agreed = new Uint8Array(await crypto.subtle.deriveBits({ ...X25519, public: theirs }, own, 256));
  const prk = await extract(KEM, NOTHING, "eae_prk", agreed);
  return expand(KEM, prk, "shared_secret", joined([encapsulated, ownPublic]), 32);
}

async function extract(suite: Bytes, salt: Bytes, label: string, material: Bytes): Promise<Bytes> {
  return hmac(salt.length ? salt : new Uint8Array(32), joined(["HPKE-v1", suite, label, material]));
}

/** LabeledExpand for at most 32 bytes, which are one block of HKDF. */
async function expand(suite: Bytes, prk: Bytes, label: string, info: Bytes, length: number): Promise<Bytes> {
  const asked = joined([new Uint8Array([0, length]), "HPKE-v1", suite, label, info, new Uint8Array([1])]);
  return (await hmac(prk, asked)).slice(0, length);
}

async function hmac(key: Bytes, text: Bytes): Promise<Bytes> {
  const secret = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", secret, text));
}
