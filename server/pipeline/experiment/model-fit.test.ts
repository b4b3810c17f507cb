import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { starterFolder } from "../../common/package-root.ts";
import type { ModelConfig } from "../../models/architectures.ts";
import { parseConfig } from "../../models/config.ts";
import { modelFitIssues } from "./model-fit.ts";
import { parseExperiment } from "./resolve.ts";

const starter: object = JSON.parse(readFileSync(join(starterFolder(), "config.json"), "utf8"));

/** The starter, six layers of width 128 with a context of 256, with changes. */
function model(changes: object = {}): ModelConfig {
  return parseConfig({ ...starter, ...changes }, "config.json");
}

function issues(changes: object, config = model(), tuned?: ModelConfig): Record<string, string> {
  const found = modelFitIssues(parseExperiment({ preset: "quick", ...changes }), config, tuned);
  return Object.fromEntries(found.map(({ path, message }) => [path, message]));
}

describe("an experiment is held against its model", () => {
  it("and fits up to the last layer, feature and place", () => {
    expect(issues({})).toEqual({});
    expect(issues({ divergence: { layers: 6 }, sae: { sparsity: { kind: "topk", k: 128 } } })).toEqual({});
    const longest = { promptTokens: { max: 200 }, newTokens: { max: 55 } };
    expect(issues({ divergence: { layers: [0, 5] }, sampling: longest, triples: { maxTargetTokens: 255 } })).toEqual(
      {},
    );
    expect(issues({ tuning: { kind: "given", model: "./t" } }, model(), model({ vocab_size: 4100 }))).toEqual({});
  });

  it.each<[string, object, Record<string, RegExp>]>([
    ["too many layers", { divergence: { layers: 7 } }, { "divergence.layers": /^got 7; the model has 6 layers$/ }],
    ["layers that it lacks", { divergence: { layers: [5, 6, 9] } }, { "divergence.layers": /^got 6, 9; .* 0 to 5$/ }],
    ["texts beyond its context", { sae: { contextLength: 257 } }, { "sae.contextLength": /257 tokens; .* holds 256$/ }],
    [
      "completions beyond its context",
      { sampling: { promptTokens: { max: 200 }, newTokens: { max: 56 } } },
      { "sampling.newTokens.max": /beginning-of-text token 257 tokens; .* holds 256$/ },
    ],
    [
      "passages beyond its context",
      { triples: { maxTargetTokens: 256 } },
      { "triples.maxTargetTokens": /257 tokens; .* holds 256$/ },
    ],
    [
      "more active features than there are",
      { sae: { sparsity: { kind: "topk", k: 129 } } },
      { "sae.sparsity.k": /^got 129; the smallest dictionary has 128 features$/ },
    ],
    [
      "two sizes that are one",
      { sae: { multiples: [1, 1.001] } },
      { "sae.multiples": /width of 128 the dictionaries have 128, 128/ },
    ],
    ["a size of nothing", { sae: { multiples: [0.001, 1] } }, { "sae.multiples": /have 0, 128/ }],
  ])("%s", (_, changes, expected) => {
    const found = issues(changes);
    expect(Object.keys(found)).toEqual(Object.keys(expected));
    for (const [path, message] of Object.entries(expected)) expect(found[path]).toMatch(message);
  });

  it("a model without a beginning-of-text token", () => {
    expect(issues({}, model({ bos_token_id: null }))).toEqual({
      "text.prependBos": expect.stringContaining("names no"),
    });
    expect(issues({ text: { prependBos: false } }, model({ bos_token_id: null }))).toEqual({});
  });

  it("a tuned model of another size or architecture", () => {
    const found = issues({ tuning: { kind: "given", model: "./t" } }, model(), model({ num_hidden_layers: 5 }));
    expect(found["tuning.model"]).toBe(
      "is gpt_neox of 5 layers and width 128, but the base model is gpt_neox of 6 layers and width 128",
    );
  });
});
