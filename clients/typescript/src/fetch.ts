/** Signs what a client sends through `fetch`: the `fetch` option of the openai and @anthropic-ai/sdk packages. */

import type { Signer } from "./signer.js";

/**
 * A `fetch` that gives every request a proof of its own; each retry of an SDK is a request. The body is read before it
 * leaves, since the proof covers it. A redirect is followed inside `fetch`, with the proof of the first request, which
 * the gateway does not take for it.
 */
export function signedFetch(signer: Signer, send: typeof fetch = fetch): typeof fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const body = new Uint8Array(await request.arrayBuffer());
    const headers = new Headers(request.headers);
    const url = new URL(request.url);
    url.search = url.search; // some runtimes send a `?` with nothing after it and some do not: this takes it away
    const proof = await signer.headers(request.method, url.pathname + url.search, headers, body);
    for (const [name, value] of Object.entries(proof)) headers.set(name, value);
    return send(url.href, {
      ...init,
      method: request.method,
      headers,
      body: request.body === null ? null : body,
      redirect: request.redirect,
      signal: init?.signal ?? (input instanceof Request ? input.signal : null),
    });
  };
}
