/**
 * The two headers that prove a request comes from whoever holds the binding key.
 *
 *     X-Acc-Caller:  svc:checkout-api
 *     X-Acc-Binding: b1;k=<key id>;t=<unix seconds>;n=<22 base64url: 16 random bytes>;s=<43 base64url>
 *     s = HMAC-SHA256(key, "ACC2-HMAC-SHA256" NUL | LP(b1) LP(k) LP(t) LP(n) LP(METHOD) LP(aud) LP(target)
 *                     LP(content-type) LP(content-encoding) LP(caller) LP(SHA-256(body)) LP(SHA-256(token)))
 *     LP(x) = length as u32, big end first | x
 *
 * Each proof is good for one request at one time: sign every attempt, also each repeat of the same request. What each
 * field is and what a proxy must leave alone is described in docs/guide/signing.md.
 */

import { spelled } from "./base64url.js";
import type { BindingKey } from "./binding-key.js";
import { joined, utf8 } from "./bytes.js";

export interface SignerOptions {
  readonly bindingKey: BindingKey;
  /** Who calls: 1 to 128 visible ASCII characters. */
  readonly caller: string;
  /** The path of the gateway's public address, where it has one: what stands before it is not seen by the gateway. */
  readonly basePath?: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** 16 bytes that are used once. */
  readonly nonce?: () => Uint8Array;
}

export interface Signer {
  /**
   * The headers to add to this request, good for sending it once. `target` is the path with `?` and the query where
   * there is one; headers and body are as they are sent. Throws CannotSign.
   */
  headers(method: string, target: string, headers: Headers, body: Uint8Array<ArrayBuffer>): Promise<Proof>;
}

export type Proof = Record<"X-Acc-Caller" | "X-Acc-Binding", string>;

/** A request that no proof can be made for. Its message says what is missing. */
export class CannotSign extends Error {
  override name = "CannotSign";
}

const CALLER = /^[!-~]{1,128}$/;
const DOMAIN = "ACC2-HMAC-SHA256\0";
const KEY_HEADERS = ["x-api-key", "api-key", "x-goog-api-key"];

/** A signer for one caller. The key is kept where no script can read it again. */
export async function createSigner(options: SignerOptions): Promise<Signer> {
  const { caller, now = Date.now, nonce = () => crypto.getRandomValues(new Uint8Array(16)) } = options;
  const basePath = (options.basePath ?? "").replace(/\/+$/, "");
  if (!CALLER.test(caller)) {
    throw new TypeError("caller: expected 1 to 128 visible ASCII characters, as in svc:checkout-api");
  }
  const { keyId, key, aud } = options.bindingKey;
  const secret = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);

  return {
    async headers(method, target, headers, body) {
      const at = String(Math.floor(now() / 1000));
      const once = spelled(nonce());
      const text = lengthPrefixed([
        "b1",
        keyId,
        at,
        once,
        method,
        aud,
        seenByTheGateway(basePath, target),
        headers.get("content-type") ?? "",
        headers.get("content-encoding") ?? "",
        caller,
        await sha256(body),
        await sha256(utf8(credentialOf(headers))),
      ]);
      const mac = spelled(new Uint8Array(await crypto.subtle.sign("HMAC", secret, text)));
      return { "X-Acc-Caller": caller, "X-Acc-Binding": `b1;k=${keyId};t=${at};n=${once};s=${mac}` };
    },
  };
}

/** The target below the gateway's own path; a `?` with nothing after it is no query, and servers drop it. */
function seenByTheGateway(basePath: string, target: string): string {
  const [, path = "", query = ""] = /^([^?]*)\??(.*)$/.exec(target) ?? [];
  const below = path.slice(basePath.length);
  if (!path.startsWith(basePath) || !below.startsWith("/")) {
    throw new CannotSign(`this signer is for paths below ${basePath}/, and the request is for ${path}`);
  }
  return query === "" ? below : `${below}?${query}`;
}

/** The one credential of a request, wherever the client put it. */
function credentialOf(headers: Headers): string {
  const found = new Set(KEY_HEADERS.map((name) => headers.get(name) ?? ""));
  const [, token = ""] = /^bearer +(.*)$/i.exec(headers.get("authorization") ?? "") ?? [];
  found.add(token.trim());
  found.delete("");
  const [credential, another] = found;
  if (credential === undefined || another !== undefined) {
    const came = another === undefined ? "none came" : "two different ones came";
    const places = ["Authorization: Bearer", ...KEY_HEADERS].join(", ");
    throw new CannotSign(`expected one key or token in ${places}: ${came}`);
  }
  return credential;
}

async function sha256(content: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", content));
}

function lengthPrefixed(fields: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const parts: (string | Uint8Array)[] = [DOMAIN];
  for (const field of fields) {
    const content = typeof field === "string" ? utf8(field) : field;
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, content.length);
    parts.push(length, content);
  }
  return joined(parts);
}
