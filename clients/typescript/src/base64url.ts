/** Base64url without padding (RFC 4648, section 5), with what every runtime has. */

export function bytesOf(spelled: string): Uint8Array<ArrayBuffer> {
  const text = atob(spelled.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

export function spelled(content: Uint8Array): string {
  const text = btoa(String.fromCharCode(...content));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
