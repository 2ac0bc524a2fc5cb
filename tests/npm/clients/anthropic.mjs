// Anthropic's own client, told where to go by its environment alone. Does a call a line and prints what it saw.
import { createInterface } from "node:readline";

import Anthropic from "@anthropic-ai/sdk";

const client = () => new Anthropic({ maxRetries: 0 });

const acts = {
  messages: (asked, headers) => client().messages.create(asked, { headers }),

  async messagesStream(asked, headers) {
    const stream = client().messages.stream(asked, { headers });
    const kinds = [];
    stream.on("streamEvent", (event) => kinds.push(event.type));
    const answer = await stream.finalMessage();
    return { kinds, answer };
  },

  countTokens: (asked, headers) => client().messages.countTokens(asked, { headers }),

  async batch(asked, headers) {
    const batches = client().messages.batches;
    let batch = await batches.create(asked, { headers });
    while (batch.processing_status !== "ended") batch = await batches.retrieve(batch.id);
    const results = [];
    for await (const result of await batches.results(batch.id)) results.push(result);
    return { batch, results };
  },

  async models(_, headers) {
    const ids = [];
    for await (const model of client().models.list({}, { headers })) ids.push(model.id);
    return ids;
  },
};

async function seen(act, asked, headers) {
  try {
    return await acts[act](asked, headers);
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    const { status, type, error: body } = error;
    const retryAfter = error.headers?.get("retry-after") ?? null;
    return { failed: { name: error.constructor.name, status, type, body, retryAfter } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { act, asked, headers, settings } = JSON.parse(line);
  Object.assign(process.env, settings);
  console.log(JSON.stringify(await seen(act, asked, headers)));
}
