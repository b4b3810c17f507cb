import { expect, it } from "vitest";
import { parseExperiment } from "../experiment/resolve.ts";
import { factsOf, withTextCounts } from "./about.ts";

const factOf = (facts: ReturnType<typeof factsOf>, wanted: string) => facts.find(({ name }) => name === wanted)?.value;

it("names model, tuning, data, reward and settings, and says where the starter's texts are from", () => {
  const facts = factsOf(parseExperiment({ preset: "quick", tuning: { steps: 7 } }));
  expect(factOf(facts, "preset")).toBe("quick");
  expect(factOf(facts, "model")).toMatch(/^starter, /);
  expect(factOf(facts, "tuned checkpoint")).toBe(
    "made by this run: PPO, 7 steps of 64 completions, learning rate 0.0003, a KL penalty of 0.2",
  );
  expect(factOf(facts, "data")).toContain("sampled from the starter model itself");
  expect(factOf(facts, "reward")).toMatch(/VADER \(lexicon of its repository, 2020\), of prompt and completion/);
  const edited = parseExperiment({ preset: "quick", reward: { edits: [{ word: "funny", flip: true }] } });
  expect(factOf(factsOf(edited), "reward")).toMatch(/; for tuning, one rating edited$/);
  expect(factOf(facts, "layers")).toBe("the 5 of highest divergence (mlpOnly)");
  expect(factOf(facts, "data of autoencoders and triples")).toBeUndefined();
});

it("names what one gives oneself, and both sources of texts where there are two", () => {
  const given = {
    preset: "paper/pythia-70m/vader",
    tuning: { kind: "given", model: "owner/tuned@main" },
    data: { source: { file: "/data/a.jsonl" }, field: "review", limit: 900, heldOut: 100 },
    divergence: { layers: [2, 4] },
    sae: { sparsity: { kind: "topk", k: 8 }, tied: false },
  };
  const facts = withTextCounts(factsOf(parseExperiment(given)), { tuning: 800, heldOut: 100, analysis: 25_000 });
  expect(factOf(facts, "tuned checkpoint")).toBe("owner/tuned@main");
  expect(factOf(facts, "data")).toBe("/data/a.jsonl, field review, 900 texts at most");
  expect(factOf(facts, "data of autoencoders and triples")).toBe("stanfordnlp/imdb, split test, field text");
  expect(factOf(facts, "layers")).toBe("2, 4, as named");
  expect(factOf(facts, "autoencoders")).toMatch(/1 and 2 times the width, untied, top 8, 3 passes/);
  const names = facts.map(({ name }) => name);
  expect(names.indexOf("texts")).toBe(names.indexOf("data of autoencoders and triples") + 1);
  expect(factOf(facts, "texts")).toBe("800 for tuning, 100 held out, 25000 for autoencoders and triples");
});

it("of pairs says what is contrasted: held-out pairs, those tuned on, or a file", () => {
  const contrasts = (own: object) =>
    factOf(factsOf(parseExperiment({ preset: "preferences", contrasts: own })), "contrasts");
  expect(contrasts({})).toMatch(/^pairs kept out of tuning .*, 2000 at most; 512 tokens/);
  expect(contrasts({ pairs: "tuning" })).toMatch(/^the pairs tuned on, which the model may remember/);
  expect(contrasts({ file: "/data/graded.jsonl", limit: null })).toMatch(/^\/data\/graded\.jsonl; 512 tokens/);
  const facts = factsOf(parseExperiment({ preset: "paper/pythia-70m/hh" }));
  expect(factOf(facts, "probe")).toBe(
    "logistic regression on the tuned model's features, 5 folds of prompts, C of 0.0001, 0.001, 0.01, 0.1, 1",
  );
});
