import { loadExperiment } from "../pipeline/experiment/resolve.ts";
import {
  type EndpointSettings,
  type ExplainPreview,
  type ExplainRunOptions,
  type ExplainRunResult,
  explainRun,
  previewExplain,
} from "../pipeline/finished/explain-run.ts";
import { explanationLine } from "../questions/feature-text.ts";
import { runPaths } from "../runs/run-folder.ts";
import type { FeatureStore } from "../store/store.ts";
import { type CommandResult, defineCommand, type Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import { option } from "./options.ts";
import { openRunFeatures } from "./run-features.ts";
import { existingRun } from "./status.ts";

const options = {
  "per-layer": option.integer("without FEATURE: so many features of each layer, by similarity of the two sizes", 30, {
    min: 1,
  }),
  again: option.flag("also features that this explainer has explained already"),
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
  concurrency: option.integer("features at a time", 4, { min: 1, max: 64 }),
  yes: option.flag("send; without it the endpoint gets nothing and only the cost is shown"),
};

export const explain = defineCommand({
  usage: "RUN [FEATURE...] [options]",
  about:
    "Explains features from their examples and scores each explanation on other windows: by detection (is the feature active here?) and fuzzing (are " +
    "these the tokens?), as balanced accuracy with its 95 % interval. Without FEATURE: those that both dictionary sizes found most alike. Without " +
    "--endpoint it needs no network and no key: peak tokens, promoted tokens, and the share of words that the feedback rates.\n\n" +
    "With --endpoint a language model explains and judges. First the cost is shown; with --yes the examples are sent to that origin and nowhere else. It " +
    "stops at the cap, and the same command goes on: answers are kept in the run's features.sqlite by what was asked. The key is read from the " +
    "environment and kept nowhere.",
  options,
  positionals: ["RUN", "[FEATURE...]"],
  run: async (given): Promise<CommandResult> => {
    const [run = "", ...ids] = given.positionals;
    using store = await openRunFeatures(run);
    const { options: chosen, signal, note } = given;
    const settings: ExplainRunOptions & { readonly endpoint: KeyedEndpoint | null } = {
      store,
      experiment: await loadExperiment(runPaths(await existingRun(run)).experiment),
      ids: ids.length === 0 ? null : ids,
      perLayer: chosen["per-layer"],
      again: chosen.again,
      endpoint: endpointOf(given),
    };
    const preview = { ...previewExplain(settings), keyFrom: settings.endpoint?.keyFrom ?? null };
    if (settings.endpoint !== null) note(previewLine(preview, settings.endpoint, given.env));
    if (settings.endpoint !== null && !chosen.yes)
      return { json: { preview, sent: false }, text: "Nothing was sent: --yes does it." };
    let tenths = 0;
    const result = await explainRun(settings, {
      signal,
      concurrency: chosen.concurrency,
      timeoutMs: 1000 * chosen.timeout,
      onProgress: (done, total) => {
        const now = Math.floor((10 * done) / total);
        if (now > tenths) note(`explained and scored: ${10 * now} %`);
        tenths = now;
      },
    });
    return resultOf(result, preview, store);
  },
});

/** Endpoint settings with the name of the environment variable of the key. */
type KeyedEndpoint = EndpointSettings & { readonly keyFrom: string | null };
type KeyedPreview = ExplainPreview & Pick<KeyedEndpoint, "keyFrom">;

function resultOf(result: ExplainRunResult, preview: KeyedPreview, store: FeatureStore): CommandResult {
  const { explained, failed, stoppedAtCap, used, spentUsd } = result;
  const lines = explained.map(({ id, explainer }) => {
    const shown = store.need(id).explanations.find((explanation) => explanation.explainer === explainer);
    return `${id}  ${shown === undefined ? "" : explanationLine(shown)}`;
  });
  const spent =
    used.inputTokens + used.outputTokens === 0
      ? ""
      : `; ${used.inputTokens} input and ${used.outputTokens} output tokens${spentUsd === null ? "" : `, $${spentUsd.toFixed(4)}`}`;
  const nothingCame = preview.origin !== null && explained.length === 0 && failed.length > 0;
  const summary = `${explained.length} explained, ${failed.length} without an explanation, ${preview.cached} explained before${spent}`;
  return {
    json: { preview, sent: preview.origin !== null, explained, failed, stoppedAtCap, used, spentUsd },
    text: [
      ...lines,
      ...failed.map(({ id, reason }) => `${id}  no explanation: ${reason}`),
      ...lostLines(explained),
      "",
      summary,
      ...(stoppedAtCap ? ["Stopped at the cap; with a higher one the same command goes on from here."] : []),
    ].join("\n"),
    status: stoppedAtCap ? "requeue" : nothingCame ? "resource" : "ok",
  };
}

/** Lines about judgements that are missing from scores, by reason. */
function lostLines(explained: ExplainRunResult["explained"]): string[] {
  const byReason = new Map<string, { judgements: number; features: Set<string> }>();
  for (const { id, lost } of explained) {
    for (const { judgements, reason } of lost) {
      const held = byReason.get(reason) ?? { judgements: 0, features: new Set() };
      byReason.set(reason, { judgements: held.judgements + judgements, features: held.features.add(id) });
    }
  }
  return [...byReason].map(([reason, { judgements, features }]) => {
    const of = features.size === 1 ? [...features].join() : `${features.size} features`;
    return `${judgements} ${judgements === 1 ? "judgement" : "judgements"} of ${of} could not be had: ${reason}`;
  });
}

function previewLine(
  { features, requests, inputTokens, outputTokens, costUsd, origin, keyFrom }: KeyedPreview,
  { maxTokens, maxUsd }: EndpointSettings,
  env: Given<typeof options>["env"],
): string {
  const cost = costUsd === null ? "" : `, about $${costUsd.toFixed(4)}`;
  const cap = [...(maxTokens === null ? [] : [`${maxTokens} tokens`]), ...(maxUsd === null ? [] : [`$${maxUsd}`])];
  return `${features} ${features === 1 ? "feature" : "features"}: about ${requests} requests to ${origin}, ${inputTokens} input and ${outputTokens} output tokens${cost}; stops at ${cap.join(" or ")}; ${keyLine(keyFrom, env)}`;
}

const openAi = { origin: "https://api.openai.com", variable: "OPENAI_API_KEY" } as const;

function keyLine(keyFrom: string | null, env: Given<typeof options>["env"]): string {
  if (keyFrom !== null) return `with the key in ${keyFrom}`;
  const unsent = (env[openAi.variable] ?? "") !== "";
  return unsent ? `without a key (${openAi.variable} goes elsewhere only where --key-env names it)` : "without a key";
}

/** Endpoint settings from options and environment; the key comes from the environment only. Throws `UsageError`. */
function endpointOf({ options: chosen, env }: Given<typeof options>): KeyedEndpoint | null {
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
