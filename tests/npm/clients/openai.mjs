// OpenAI's own client, told where to go by its environment alone. Does a call a line and prints what it saw.
import { createInterface } from "node:readline";

import OpenAI, { AzureOpenAI, toFile } from "openai";

const made = { maxRetries: 0 };

const acts = {
  chat: (asked, headers) => new OpenAI(made).chat.completions.create(asked, { headers }),

  async chatStream(asked, headers) {
    const stream = new OpenAI(made).chat.completions.stream(asked, { headers });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { chunks, answer: await stream.finalChatCompletion() };
  },

  async responses(asked, headers) {
    const answer = await new OpenAI(made).responses.create(asked, { headers });
    return { answer, text: answer.output_text };
  },

  async responsesStream(asked, headers) {
    const stream = new OpenAI(made).responses.stream(asked, { headers });
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    const answer = await stream.finalResponse();
    return { kinds, answer, text: answer.output_text };
  },

  embeddings: (asked, headers) => new OpenAI(made).embeddings.create(asked, { headers }),

  async models(_, headers) {
    const ids = [];
    for await (const model of new OpenAI(made).models.list({ headers })) ids.push(model.id);
    return ids;
  },

  async batch({ lines, endpoint }, headers) {
    const client = new OpenAI(made);
    const input = lines.map((line) => JSON.stringify(line) + "\n").join("");
    const file = await client.files.create({ file: await toFile(Buffer.from(input), "lines.jsonl"), purpose: "batch" });
    const asked = { input_file_id: file.id, endpoint, completion_window: "24h" };
    let batch = await client.batches.create(asked, { headers });
    while (!batch.output_file_id) batch = await client.batches.retrieve(batch.id);
    const output = await (await client.files.content(batch.output_file_id)).text();
    return { batch, results: output.trimEnd().split("\n").map((line) => JSON.parse(line)) };
  },

  azureChat: (asked, headers) => new AzureOpenAI(made).chat.completions.create(asked, { headers }),
};

async function seen(act, asked, headers) {
  try {
    return await acts[act](asked, headers);
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const { status, code, type, error: body } = error;
    const retryAfter = error.headers?.get("retry-after") ?? null;
    return { failed: { name: error.constructor.name, status, code, type, body, retryAfter } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { act, asked, headers, settings } = JSON.parse(line);
  Object.assign(process.env, settings);
  console.log(JSON.stringify(await seen(act, asked, headers)));
}
