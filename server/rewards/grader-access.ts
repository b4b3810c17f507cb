/** Whether a grader's endpoint may be sent texts, and a key. The experiment file alone cannot say so: somebody else may have written it. */
import { checkAddress, type Endpoint } from "../endpoint/address.ts";
import { checkBounds } from "../endpoint/endpoint-settings.ts";
import { EndpointError } from "../endpoint/errors.ts";
import type { GraderConfig } from "./grader-config.ts";
import type { RewardIssue } from "./reward-issues.ts";

export type GraderSettings = Omit<GraderConfig, "kind" | "text" | "lexicon">;

/** Environment variables by which a person lets a run send texts elsewhere. */
export const graderVariables = { origin: "LFP_GRADER_ORIGIN", key: "LFP_GRADER_KEY" } as const;
const openAi = { origin: "https://api.openai.com", variable: "OPENAI_API_KEY" } as const;

/** The environment names no such origin, so that no text is sent there. */
export class GraderOriginError extends EndpointError {
  constructor(origin: string) {
    super(
      `a run would send its prompts and completions to ${origin}. If you want that, set the environment variable ${graderVariables.origin}=${origin} for the run ` +
        `(and ${graderVariables.key}, if it needs a key)`,
      "usage",
    );
  }
}

/**
 * The endpoint with the key that it gets: none where the environment does not name its origin. Throws `EndpointError`
 * for an address that is none, and `GraderOriginError`.
 */
export function graderEndpoint({ endpoint: baseUrl, model }: GraderSettings, env: NodeJS.ProcessEnv): Endpoint {
  const origin = checkAddress({ baseUrl, apiKey: "" });
  const isNamed = env[graderVariables.origin] === origin;
  if (!isNamed && !isThisMachine(origin)) throw new GraderOriginError(origin);
  const usual = origin === openAi.origin ? env[openAi.variable] : undefined;
  const apiKey = isNamed ? (env[graderVariables.key] ?? usual ?? "") : "";
  checkAddress({ baseUrl, apiKey });
  return { baseUrl, model, apiKey };
}

/** What keeps a run with this grader from starting. */
export async function graderIssues(settings: GraderSettings, env = process.env): Promise<readonly RewardIssue[]> {
  const issues: RewardIssue[] = [];
  const check = (path: string, work: () => unknown): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof EndpointError)) throw error;
      issues.push({ path: [path], message: error.message });
    }
  };
  check("endpoint", () => graderEndpoint(settings, env));
  check("maxUsd", () => checkBounds({ ...settings, baseUrl: settings.endpoint, apiKey: "" }));
  return issues;
}

function isThisMachine(origin: string): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(new URL(origin).hostname);
}
