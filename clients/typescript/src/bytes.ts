/** Bytes put together; text is UTF-8. */

const encoder = new TextEncoder();

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

export function joined(parts: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const contents = parts.map((part) => (typeof part === "string" ? utf8(part) : part));
  const whole = new Uint8Array(contents.reduce((sum, content) => sum + content.length, 0));
  let end = 0;
  for (const content of contents) {
    whole.set(content, end);
    end += content.length;
  }
  return whole;
}
