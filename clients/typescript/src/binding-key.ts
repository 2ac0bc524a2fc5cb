/**
 * The secret that only a backend holds, as it is handed over: `visb_live_<base64url of 32 bytes>_<checksum>`.
 * The checksum is six base62 digits of CRC-32 over all before the last `_`: it finds a typing error, it is no security.
 */

import { bytesOf } from "./base64url.js";

export interface BindingKey {
  readonly keyId: string;
  /** 32 bytes. */
  readonly key: Uint8Array<ArrayBuffer>;
  /** The gateways that it is for: the installation's id. */
  readonly aud: string;
}

/** As the gateway's operator hands it over. */
export interface ExportedBindingKey {
  readonly key_id: string;
  readonly key: string;
  readonly aud: string;
}

/** What was given is no binding key. Its message says what was expected, and nothing of what came. */
export class BadBindingKey extends Error {
  override name = "BadBindingKey";
}

const ID = /^[A-Za-z0-9-]{1,64}$/;
const EXPORT = /^(visb_(?:live|test)_([A-Za-z0-9_-]{43}))_([0-9A-Za-z]{6})$/;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The key that an export names, given as JSON or as what JSON says. Throws BadBindingKey. */
export function readBindingKey(exported: string | ExportedBindingKey): BindingKey {
  const said = typeof exported === "string" ? documentOf(exported) : exported;
  const { key_id: keyId, key, aud } = (said ?? {}) as Partial<ExportedBindingKey>;
  if (typeof keyId !== "string" || !ID.test(keyId)) {
    throw new BadBindingKey("key_id: expected 1 to 64 letters, digits and dashes");
  }
  if (typeof aud !== "string" || aud === "") throw new BadBindingKey("aud: expected the installation's id");
  return { keyId, key: keyOf(key), aud };
}

function documentOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BadBindingKey("expected JSON with key_id, key and aud");
  }
}

function keyOf(spelled: unknown): Uint8Array<ArrayBuffer> {
  const found = typeof spelled === "string" ? EXPORT.exec(spelled) : null;
  if (found === null) {
    throw new BadBindingKey("key: expected visb_live_…, 43 base64url characters and a checksum of 6");
  }
  const [, whole = "", encoded = "", checksum] = found;
  if (checksumOf(whole) !== checksum) {
    throw new BadBindingKey("key: its checksum is not that of the rest, so something was mistyped or left out");
  }
  return bytesOf(encoded);
}

function checksumOf(text: string): string {
  let number = crc32(text);
  let digits = "";
  for (let place = 0; place < 6; place++) {
    digits = DIGITS[number % 62] + digits;
    number = Math.floor(number / 62);
  }
  return digits;
}

/** CRC-32 of ASCII text, bit by bit (polynomial 0xEDB88320, as in zlib). */
function crc32(text: string): number {
  let rest = 0xffffffff;
  for (let at = 0; at < text.length; at++) {
    rest ^= text.charCodeAt(at);
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? 0xedb88320 : 0);
  }
  return (rest ^ 0xffffffff) >>> 0;
}
