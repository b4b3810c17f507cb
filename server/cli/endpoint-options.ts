/** The options of commands that ask a language model behind an OpenAI-compatible endpoint. */
import type { EndpointSettings } from "../endpoint/endpoint-settings.ts";
import type { Usage } from "../endpoint/spend.ts";
import type { Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";

export const endpointOptions = {
  endpoint: option.text(
    "URL",
    "an OpenAI-compatible endpoint, such as https://api.openai.com/v1 or http://localhost:11434/v1",
  ),
  model: option.text("NAME", "the endpoint's model"),
  "key-env": option.text(
    "VARIABLE",
    "the environment variable that holds the endpoint's key (default: OPENAI_API_KEY for https://api.openai.com, and no key elsewhere)",
  ),
  timeout: option.integer("seconds that one answer may take", 120, { min: 1, max: 86_400 }),
  "thinking-tokens": option.integer(
    "room for thinking in every answer, for models that think before they answer; 0: none until an answer was cut, then 4000",
    0,
    { min: 0, max: 1_000_000 },
  ),
  "max-tokens": option.integer("stop before more tokens than this are used", 1_000_000, { min: 1 }),
  "max-usd": option.text("X", "stop before more dollars than this are spent; needs --price-in and --price-out"),
  "price-in": option.text("X", "dollars for a million input tokens"),
  "price-out": option.text("X", "dollars for a million output tokens"),
};

/** Endpoint settings with the name of the environment variable of the key. */
export type KeyedEndpoint = EndpointSettings & { readonly keyFrom: string | null };

const openAi = { origin: "https://api.openai.com", variable: "OPENAI_API_KEY" } as const;

type EndpointGiven = Pick<Given<typeof endpointOptions>, "options" | "env">;

/** What a command is about to send, and where it stops: `about 33 requests to ORIGIN, ... tokens; stops at ...`. */
export function costLine(
  { requests, inputTokens, outputTokens, costUsd, origin }: Cost,
  { maxTokens, maxUsd, keyFrom }: KeyedEndpoint,
  env: EndpointGiven["env"],
): string {
  const cost = costUsd === null ? "" : `, about $${costUsd.toFixed(4)}`;
  const cap = [...(maxTokens === null ? [] : [`${maxTokens} tokens`]), ...(maxUsd === null ? [] : [`$${maxUsd}`])];
  return `about ${requests} requests to ${origin}, ${inputTokens} input and ${outputTokens} output tokens${cost}; stops at ${cap.join(" or ")}; ${keyLine(keyFrom, env)}`;
}

export interface Cost extends Usage {
  readonly requests: number;
  /** Null when prices are not known. */
  readonly costUsd: number | null;
  /** Origin of the server that would receive text. */
  readonly origin: string | null;
}

/** What was used: `100 input and 10 output tokens, $0.0010`. */
export function usedLine({ inputTokens, outputTokens }: Usage, spentUsd: number | null): string {
  return `${inputTokens} input and ${outputTokens} output tokens${spentUsd === null ? "" : `, $${spentUsd.toFixed(4)}`}`;
}

function keyLine(keyFrom: string | null, env: EndpointGiven["env"]): string {
  if (keyFrom !== null) return `with the key in ${keyFrom}`;
  const unsent = (env[openAi.variable] ?? "") !== "";
  return unsent ? `without a key (${openAi.variable} goes elsewhere only where --key-env names it)` : "without a key";
}

/** Endpoint settings from options and environment; the key comes from the environment only. Throws `UsageError`. */
export function endpointOf({ options: chosen, env }: EndpointGiven): KeyedEndpoint | null {
  const { endpoint: baseUrl, model } = chosen;
  if (baseUrl === undefined) {
    if (model !== undefined) throw new UsageError("--model needs --endpoint, which says where it is");
    return null;
  }
  if (model === undefined) throw new UsageError("--endpoint needs --model, the name of the model there");
  // A key belongs to its owner and one service: by default it is sent nowhere else.
  const isOwner = URL.parse(baseUrl)?.origin === openAi.origin;
  const variable = chosen["key-env"] ?? (isOwner ? openAi.variable : undefined);
  const apiKey = variable === undefined ? "" : (env[variable] ?? "");
  if (chosen["key-env"] !== undefined && apiKey === "")
    throw new UsageError(`--key-env names ${variable}, which is not set or empty`);
  const [input, output] = [dollars("--price-in", chosen["price-in"]), dollars("--price-out", chosen["price-out"])];
  if ((input === null) !== (output === null)) throw new UsageError("--price-in and --price-out belong together");
  const maxUsd = dollars("--max-usd", chosen["max-usd"]);
  if (maxUsd !== null && input === null) throw new UsageError("--max-usd needs --price-in and --price-out");
  const prices = input === null || output === null ? null : { inputUsd: input, outputUsd: output };
  return {
    baseUrl,
    model,
    apiKey,
    keyFrom: apiKey === "" ? null : (variable ?? null),
    prices,
    maxUsd,
    maxTokens: chosen["max-tokens"],
    thinkingTokens: chosen["thinking-tokens"],
  };
}

function dollars(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && Number.isFinite(value)))
    throw new UsageError(`${flag} is ${JSON.stringify(text)}; expected dollars, such as 2.5`);
  return value;
}
