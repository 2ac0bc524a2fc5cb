// An upstream that we did not write: aimock with the answers in FIXTURES. Prints its address once it listens.
import { LLMock } from "@copilotkit/aimock";

const upstream = new LLMock({ port: 0 });
upstream.addFixturesFromJSON(process.env.FIXTURES);
console.log(await upstream.start());
