// An OpenID Connect issuer that we did not write: oidc-provider, which lets in whom PEOPLE names and registers any client.
// Prints its address once it listens. PKCE by S256 is required of everybody.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const people = JSON.parse(process.env.PEOPLE);
const server = createServer((request, response) => handle(request, response));
let handle;
server.listen(0, "127.0.0.1", () => {
  const address = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(address, {
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: ["for tests"] },
    features: { registration: { enabled: true }, devInteractions: { enabled: true } },
    pkce: { required: () => true },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...people[sub] }) }),
  });
  handle = provider.callback();
  console.log(address);
});
