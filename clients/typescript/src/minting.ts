/** Mints a spend token: a short-lived budget for one end customer, narrower than the credential that it is made from. */

import { signedFetch } from "./fetch.js";
import type { Signer } from "./signer.js";

/** What the token may do. What is absent is as its credential has it. */
export interface SpendToken {
  /** Decimal dollars. */
  readonly cap_usd: string;
  readonly ttl_seconds: number;
  readonly customer_id?: string;
  readonly project_id?: string;
  readonly task_id?: string;
  readonly task_class?: string;
  readonly memo?: string;
  readonly url?: string;
  readonly models?: readonly string[];
  readonly providers?: readonly string[];
  readonly networks?: readonly string[];
  readonly callers?: readonly string[];
  readonly level?: number;
}

/** A spend token, once: the gateway keeps no copy of it. */
export interface Minted {
  readonly token: string;
  readonly jti: string;
  /** RFC 3339. */
  readonly expires_at: string;
  readonly cap_usd: string;
}

/** The gateway made no token. `status` and `code` are its own, the message too. */
export class MintRefused extends Error {
  override name = "MintRefused";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const PATIENCE_MS = 30_000;

/**
 * A token that the gateway at this address makes from the credential. Throws MintRefused for the gateway's refusal, and
 * what `fetch` throws when it cannot be reached.
 */
export async function mint(
  baseUrl: string,
  credential: string,
  signer: Signer,
  asked: SpendToken,
  send: typeof fetch = fetch,
): Promise<Minted> {
  const answer = await signedFetch(signer, send)(`${baseUrl.replace(/\/+$/, "")}/spend-tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
    body: JSON.stringify(asked),
    redirect: "manual",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (answer.ok) return (await answer.json()) as Minted;
  throw refusal(answer, await answer.text());
}

function refusal(answer: Response, text: string): MintRefused {
  try {
    const { code, message } = JSON.parse(text).error;
    return new MintRefused(answer.status, code, message);
  } catch {
    const words = `the gateway answered ${answer.status} without saying why: is ${answer.url} its address?`;
    return new MintRefused(answer.status, "", words);
  }
}
