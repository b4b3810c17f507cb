import { loadExperiment } from "../pipeline/experiment/resolve.ts";
import {
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
import { costLine, endpointOf, endpointOptions, type KeyedEndpoint, usedLine } from "./endpoint-options.ts";
import { option } from "./options.ts";
import { openRunFeatures } from "./run-features.ts";
import { existingRun } from "./status.ts";

const options = {
  "per-layer": option.integer("without FEATURE: so many features of each layer, by similarity of the two sizes", 30, {
    min: 1,
  }),
  again: option.flag("also features that this explainer has explained already"),
  ...endpointOptions,
  concurrency: option.integer("features at a time", 4, { min: 1, max: 64 }),
  yes: option.flag("send; without it the endpoint gets nothing and only the cost is shown"),
};

export const explain = defineCommand({
  usage: "RUN [FEATURE...] [options]",
  about:
    "Explains features from their examples and scores each explanation on other windows: by detection (is the feature active here?) and fuzzing (are " +
    "these the tokens?), as balanced accuracy with its 95 % interval. Without FEATURE: those that move the readings most (by contribution and by attribution), and those that both dictionary sizes found most alike. Each explanation is kept as soon as it is there. Without " +
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
    const endpoint = endpointOf(given);
    const settings: ExplainRunOptions = {
      store,
      experiment: await loadExperiment(runPaths(await existingRun(run)).experiment),
      ids: ids.length === 0 ? null : ids,
      perLayer: chosen["per-layer"],
      again: chosen.again,
      by: endpoint === null ? { kind: "offline" } : { kind: "endpoint", endpoint },
    };
    const preview = { ...previewExplain(settings), keyFrom: endpoint?.keyFrom ?? null };
    if (endpoint !== null) note(previewLine(preview, endpoint, given.env));
    if (endpoint !== null && !chosen.yes)
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

type KeyedPreview = ExplainPreview & Pick<KeyedEndpoint, "keyFrom">;

function resultOf(result: ExplainRunResult, preview: KeyedPreview, store: FeatureStore): CommandResult {
  const { explained, failed, stoppedAtCap, used, spentUsd } = result;
  const lines = explained.map(({ id, explainer }) => {
    const shown = store.need(id).explanations.find((explanation) => explanation.explainer === explainer);
    return `${id}  ${shown === undefined ? "" : explanationLine(shown)}`;
  });
  const spent = used.inputTokens + used.outputTokens === 0 ? "" : `; ${usedLine(used, spentUsd)}`;
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

function previewLine(preview: ExplainPreview, endpoint: KeyedEndpoint, env: Given<typeof options>["env"]): string {
  const { features } = preview;
  return `${features} ${features === 1 ? "feature" : "features"}: ${costLine(preview, endpoint, env)}`;
}
