/** A server on loopback that checks proofs with an HMAC of its own, and answers as it is told to. */

import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export const KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => at));
export const AUD = "vis:0197f2a4-0000-7000-8000-000000000001";

export interface Seen {
  readonly target: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly nonce: string;
  readonly proven: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly said: unknown;
}

export interface Gateway {
  readonly url: string;
  readonly seen: Seen[];
  close(): Promise<void>;
}

/** Each answer is given once, and then the last one again. */
export async function gatewayThatAnswers(...answers: [Answer, ...Answer[]]): Promise<Gateway> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    seen.push(read(request, Buffer.concat(chunks)));
    const answer = answers[Math.min(seen.length, answers.length) - 1] ?? answers[0];
    response.writeHead(answer.status, { "content-type": "application/json", connection: "close", ...answer.headers });
    response.end(JSON.stringify(answer.said));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: () => new Promise((done) => server.close(() => done())),
  };
}

function read(request: IncomingMessage, body: Buffer): Seen {
  const { method = "", url: target = "", headers } = request;
  const [, keyId = "", at = "", nonce = "", mac = ""] =
    /^b1;k=(.*);t=(.*);n=(.*);s=(.*)$/.exec(String(headers["x-acc-binding"])) ?? [];
  const token = (headers["x-api-key"] as string) ?? headers.authorization?.replace("Bearer ", "") ?? "";
  const hash = (content: string | Buffer) => createHash("sha256").update(content).digest();
  const described = [headers["content-type"] ?? "", headers["content-encoding"] ?? "", headers["x-acc-caller"] ?? ""];
  const made = createHmac("sha256", KEY).update("ACC2-HMAC-SHA256\0");
  for (const field of ["b1", keyId, at, nonce, method, AUD, target, ...described, hash(body), hash(token)]) {
    const content = Buffer.from(field as string);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    made.update(length).update(content);
  }
  return { target, headers, body, nonce, proven: made.digest("base64url") === mac };
}
