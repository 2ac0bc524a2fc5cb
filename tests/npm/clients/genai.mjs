// Google's own client, told where to go by its environment alone. Does a call a line and prints what it saw.
import { createInterface } from "node:readline";

import { ApiError, GoogleGenAI } from "@google/genai";

const models = () => new GoogleGenAI({}).models;

const acts = {
  async generateContent(request) {
    const answer = await models().generateContent(request);
    return { answer, text: answer.functionCalls ? null : answer.text };
  },

  async generateContentStream(request) {
    const chunks = [];
    const texts = [];
    for await (const chunk of await models().generateContentStream(request)) {
      chunks.push(chunk);
      if (!chunk.functionCalls) texts.push(chunk.text ?? "");
    }
    return { chunks, text: texts.join("") };
  },

  countTokens: (request) => models().countTokens(request),

  embedContent: (request) => models().embedContent(request),
};

async function seen(act, asked, headers) {
  try {
    return await acts[act]({ ...asked, config: { ...asked.config, httpOptions: { headers } } });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { status, message } = error;
    return { failed: { name: error.constructor.name, status, message } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { act, asked, headers, settings } = JSON.parse(line);
  Object.assign(process.env, settings);
  console.log(JSON.stringify(await seen(act, asked, headers)));
}
