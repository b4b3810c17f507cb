/** Where an endpoint is, and whether a key may travel there; without the library that asks it, which takes long to load. */
import { EndpointError } from "./errors.ts";
import { inertLine } from "./plain-text.ts";

export interface Endpoint {
  /** The URL before `/chat/completions`: `https://api.openai.com/v1`, `http://localhost:11434/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Empty for a server that needs none. */
  readonly apiKey: string;
}

/** Returns the origin that requests may go to. A key must travel encrypted or stay on the machine. */
export function checkAddress({ baseUrl, apiKey }: Pick<Endpoint, "baseUrl" | "apiKey">): string {
  const url = URL.parse(baseUrl);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.search !== "")
    throw new EndpointError(
      `${JSON.stringify(inertLine(baseUrl, 100))} is no endpoint: expected an address such as https://api.openai.com/v1`,
      "usage",
    );
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (apiKey !== "" && url.protocol === "http:" && !isLocal)
    throw new EndpointError(
      `${url.origin} is not encrypted, so no key is sent to it: use https, or give no key`,
      "usage",
    );
  return url.origin;
}
