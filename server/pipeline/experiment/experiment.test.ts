import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { probeSettingsSchema } from "../../probe/report-types.ts";
import { editsOf } from "../../rewards/reward-configs.ts";
import { defaultTripleSettings } from "../../tasks/sentiment/triples.ts";
import { SamplingConfig } from "../../tuning/sampling-config.ts";
import { ExperimentError } from "./issues.ts";
import { experimentJsonSchema, keysAt } from "./json-schema.ts";
import { mergeOverrides } from "./merge.ts";
import { experimentPresets, presetNames } from "./presets.ts";
import { ExperimentFileError, loadExperiment, parseExperiment } from "./resolve.ts";
import { experimentSchema, heldOutCount, probeSettingsOf, tripleSettingsOf } from "./schema.ts";

function issuesOf(source: string | object): Record<string, string> {
  try {
    parseExperiment(source);
  } catch (error) {
    if (error instanceof ExperimentError) {
      expect(new Set(error.issues.map(({ path }) => path)).size).toBe(error.issues.length);
      return Object.fromEntries(error.issues.map(({ path, message }) => [path, message]));
    }
    throw error;
  }
  throw new Error("it was accepted");
}

describe("presets", () => {
  it.each(presetNames)("%s is complete, valid, and stays itself when parsed again", (preset) => {
    const experiment = parseExperiment({ preset });
    const { data, ...settings } = experimentPresets[preset].settings;
    const source =
      data.source !== "starter" && "file" in data.source ? { file: resolve(data.source.file) } : data.source;
    expect(experiment).toEqual({ preset, name: preset.replaceAll("/", "-"), ...settings, data: { ...data, source } });
    expect(experimentSchema.parse(experiment)).toEqual(experiment);
    expect(parseExperiment(JSON.stringify(experiment))).toEqual(experiment);
    expect(SamplingConfig.safeParse(experiment.sampling).success).toBe(true);
    expect(probeSettingsSchema.safeParse(probeSettingsOf(experiment)).success).toBe(true);
    expect(Object.keys(tripleSettingsOf(experiment))).toEqual(Object.keys(defaultTripleSettings));
  });

  it("are all listed", () => {
    expect(new Set(presetNames)).toEqual(new Set(Object.keys(experimentPresets)));
  });

  it("hold the paper's numbers", () => {
    const { tuning, sampling, text, sae, divergence, data, analysis } = parseExperiment({
      preset: "paper/pythia-70m/vader",
    });
    expect(sampling).toMatchObject({ promptTokens: { min: 2, max: 9 }, newTokens: { min: 8, max: 19 }, rows: 64 });
    expect(text).toEqual({ prependBos: false });
    expect(tuning).toMatchObject({
      kind: "ppo",
      batchSize: 64,
      miniBatchSize: 16,
      learningRate: 1e-6,
      steps: 388,
      kl: { coefficient: 0.5 },
    });
    expect(sae).toMatchObject({
      multiples: [1, 2],
      sparsity: { kind: "l1", coefficient: 0.001 },
      epochs: 3,
      contextLength: 256,
    });
    expect(divergence).toMatchObject({ layers: 5, choose: "highest" });
    expect(data.source).toEqual({ hub: "stanfordnlp/imdb", split: "train", config: null });
    expect(analysis?.source).toEqual({ hub: "stanfordnlp/imdb", split: "test", config: null });
    expect(parseExperiment({ preset: "paper/gpt-neo-125m/vader" }).sae.sparsity).toEqual({
      kind: "l1",
      coefficient: 0.015,
    });
  });

  it("of the published code flip their switches and leave the rest", () => {
    const paper = parseExperiment({ preset: "paper/pythia-160m/vader" });
    const published = parseExperiment({ preset: "as-published/pythia-160m/vader" });
    expect(paper.reward).toMatchObject({ lexicon: "head", text: "full" });
    expect(published.reward).toMatchObject({ lexicon: "nltk2016", text: "completion" });
    expect(paper.sae).toMatchObject({ maskPadding: true, shuffle: true });
    expect(published.sae).toMatchObject({ maskPadding: false, shuffle: false });
    expect(published.divergence.measure).toBe("sumOfNorms");
    expect(published.probe).toEqual({
      ...paper.probe,
      model: "base",
      multiToken: "firstPiece",
      normalise: "predictions",
    });
    expect(published.triples).toMatchObject({ texts: "tuning", extent: { kind: "firstSentence" } });
    expect(published).toMatchObject({ model: paper.model, data: paper.data, analysis: paper.analysis });
    for (const section of ["tuning", "sampling", "text"] as const) expect(published[section]).toEqual(paper[section]);
  });
});

describe("what a file says otherwise", () => {
  it("is merged member by member, lists and other shapes whole", () => {
    const experiment = parseExperiment({
      $schema: "x",
      preset: "paper/pythia-70m/vader",
      name: "mine",
      tuning: { steps: 20, kl: { mode: "fixed", coefficient: 0.1 } },
      sampling: { promptTokens: { max: 5 } },
      sae: { multiples: [4], sparsity: { kind: "topk", k: 8 } },
      data: { source: { file: "/texts/a.CSV" }, heldOut: 0.25 },
      divergence: { layers: [2, 1] },
      analysis: { limit: 7 },
    });
    const { settings } = experimentPresets["paper/pythia-70m/vader"];
    expect(experiment).toEqual({
      ...settings,
      preset: "paper/pythia-70m/vader",
      name: "mine",
      tuning: { ...settings.tuning, steps: 20, kl: { mode: "fixed", coefficient: 0.1 } },
      sampling: { ...settings.sampling, promptTokens: { min: 2, max: 5 } },
      sae: { ...settings.sae, multiples: [4], sparsity: { kind: "topk", k: 8 } },
      data: { ...settings.data, source: { file: resolve("/texts/a.CSV") }, heldOut: 0.25 },
      divergence: { ...settings.divergence, layers: [2, 1] },
      analysis: { ...settings.analysis, limit: 7 },
    });
    expect(parseExperiment({ preset: "quick", tuning: { kl: { coefficient: 0.2 } } }).tuning).toMatchObject({
      kl: { mode: "fixed", coefficient: 0.2 },
    });
  });

  it("may take a section away or bring one that the preset does not have", () => {
    expect(
      parseExperiment({ preset: "paper/pythia-70m/vader", analysis: null, data: { heldOut: 5 } }).analysis,
    ).toBeNull();
    const { analysis } = parseExperiment({ preset: "quick", analysis: { source: "starter" } });
    expect(analysis).toEqual({ source: "starter", field: "text", limit: null });
  });

  it("does not reach into prototypes", () => {
    const merged = mergeOverrides({ a: 1 }, JSON.parse('{"__proto__": {"b": 2}, "toString": {"c": 3}}'));
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect(issuesOf('{"preset": "quick", "toString": {}}')["toString"]).toContain("unknown key");
    expect(issuesOf('{"preset": "quick", "data": {"constructor": 1}}')["data.constructor"]).toContain("unknown key");
  });

  it("leaves the presets as they are", () => {
    const before = JSON.stringify(experimentPresets);
    parseExperiment({ preset: "quick", tuning: { steps: 3 }, data: { limit: 2000 } });
    expect(JSON.stringify(experimentPresets)).toBe(before);
  });
});

describe("paths", () => {
  const folder = resolve("/somewhere");
  it("start from the experiment's folder, where they are paths", () => {
    const parse = (more: object) => parseExperiment({ preset: "quick", ...more }, { folder });
    expect(parse({ model: "./m", tuning: { kind: "given", model: "../t" } })).toMatchObject({
      model: join(folder, "m"),
      tuning: { kind: "given", model: resolve(folder, "../t") },
    });
    for (const model of ["starter", "EleutherAI/pythia-70m@main", resolve("/m"), "~/m", ".hidden/m"]) {
      expect(parse({ model }).model).toBe(model);
    }
    expect(parse({ data: { source: { file: "a.csv" } } }).data.source).toEqual({ file: join(folder, "a.csv") });
    expect(parse({ analysis: { source: { file: "~/a.csv" } } }).analysis?.source).toEqual({
      file: join(homedir(), "a.csv"),
    });
  });

  let scratch = "";
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), "lfp-experiment-"));
  });
  afterAll(() => rm(scratch, { recursive: true }));

  it("start from the file's own folder when it is read from one", async () => {
    const path = join(scratch, "mine.json");
    await writeFile(path, '{ "preset": "quick", "model": "./m" }');
    expect((await loadExperiment(path)).model).toBe(join(scratch, "m"));
    await writeFile(path, '{ "preset": "quick", "modle": "./m" }');
    await expect(loadExperiment(path)).rejects.toThrow(/mine\.json.*\n {2}modle: unknown key; there are .*model/);
    await expect(loadExperiment(join(scratch, "none.json"))).rejects.toBeInstanceOf(ExperimentFileError);
  });
});

const quick = (more: object) => ({ preset: "quick", ...more });
const twice = { "tuning.steps": /given twice/, seed: /given twice/ };

describe("a kind that the preset does not have", () => {
  it("leads to the presets that have it, in place of a list of what is missing", () => {
    const issues = issuesOf({ preset: "quick", tuning: { kind: "dpo" } });
    expect(Object.keys(issues)).toEqual(["tuning"]);
    expect(issues["tuning"]).toMatch(
      /kind "dpo".*missing \(pairs, steps, .*take a preset that has them \(quick-preferences, /,
    );
    expect(issuesOf({ preset: "preferences", tuning: { kind: "ppo", steps: 3 } })["tuning"]).toContain("(quick, ");
  });

  it("and a mistake of another sort is still named", () => {
    const issues = issuesOf({ preset: "quick", tuning: { kind: "dpo", beta: "much" }, seed: -1 });
    expect(new Set(Object.keys(issues))).toEqual(new Set(["seed", "tuning", "tuning.beta"]));
  });
});

describe("presets of pairs of answers", () => {
  it.each([
    ["pythia-70m", "hh", { learningRate: 3e-5, steps: 5000, warmupSteps: 150, batchSize: 8, pairsAtOnce: 8 }, 40_000],
    ["gpt-neo-125m", "hh", { learningRate: 3e-5, steps: 5000, warmupSteps: 150, batchSize: 8, pairsAtOnce: 8 }, 40_000],
    ["gemma-2b-it", "hh", { learningRate: 5e-5, steps: 5000, warmupSteps: 150, batchSize: 16, pairsAtOnce: 1 }, 80_000],
    ["pythia-160m", "toxic", { learningRate: 5e-5, steps: 250, warmupSteps: 30, batchSize: 8, pairsAtOnce: 8 }, null],
    ["gemma-2b-it", "toxic", { learningRate: 5e-5, steps: 250, warmupSteps: 30, batchSize: 4, pairsAtOnce: 1 }, null],
  ] as const)("have the published code's numbers: %s, %s", (model, task, numbers, limit) => {
    const paper = parseExperiment({ preset: `paper/${model}/${task}` });
    const published = parseExperiment({ preset: `as-published/${model}/${task}` });
    for (const experiment of [paper, published]) {
      expect(experiment.tuning).toMatchObject({
        ...numbers,
        kind: "dpo",
        beta: 0.1,
        maxGradientNorm: 1,
        weightDecay: 0,
      });
      expect(experiment).toMatchObject({ data: { limit }, reward: { kind: "none" }, download: false });
    }
    expect(paper.tuning).toMatchObject({ optimizer: "adamw", pairs: { tokens: { rule: "trl-1", maxTokens: 256 } } });
    expect(published).toMatchObject({
      seed: 42,
      tuning: {
        optimizer: "adamw-hf",
        pairs: { tokens: { rule: "trl-0.7.7", maxTokens: 256, maxPromptTokens: 128 } },
      },
    });
  });

  it("on harmful data download nothing unless told to, and say what it is", () => {
    const toxic = presetNames.filter((name) => name.endsWith("/toxic"));
    expect(toxic).toHaveLength(8);
    for (const preset of toxic) {
      expect(parseExperiment({ preset })).toMatchObject({ download: false, task: "toxicity" });
      expect(experimentPresets[preset].about).toContain("harmful data");
    }
  });

  it("take another rule of tokens whole", () => {
    const tokens = { rule: "trl-0.7.7", maxTokens: 64, maxPromptTokens: 32 };
    expect(parseExperiment({ preset: "preferences", tuning: { pairs: { tokens } } }).tuning).toMatchObject({
      pairs: { from: "data", tokens },
    });
    expect(
      parseExperiment({
        preset: "as-published/pythia-70m/hh",
        tuning: { pairs: { tokens: { rule: "trl-1", maxTokens: 9 } } },
      }).tuning,
    ).toMatchObject({ pairs: { tokens: { rule: "trl-1", maxTokens: 9 } } });
  });
});

describe("what is wrong is named with its place", () => {
  it.each<[string, object | string, Record<string, RegExp>]>([
    ["no JSON", '{"preset": "quick",}', { "": /not JSON/ }],
    ["a key twice", '{"preset": "quick", "tuning": {"steps": 3, "steps": 4}, "seed": 1, "\\u0073eed": 2}', twice],
    [
      "a key that objects take for something else",
      '{"preset": "quick", "sae": {"__proto__": {}}}',
      { "sae.__proto__": /unknown key/ },
    ],
    [
      "a number without end",
      '{"preset": "quick", "divergence": {"layers": [1, 1e999]}}',
      { "divergence.layers[1]": /got 1e999/ },
    ],
    ["no object", "[1]", { "": /got \[1\]; expected an object/ }],
    ["something that JSON cannot hold", { preset: "quick", seed: Number.NaN }, { "": /JSON cannot/ }],
    ["no preset", {}, { preset: /is missing; expected one of quick, quick-preferences, paper/ }],
    ["a preset that is none", { preset: "fast" }, { preset: /got "fast"/ }],
    ["an unknown key", quick({ sed: 1 }), { sed: /unknown key; there are .*seed/ }],
    [
      "an unknown key further in",
      quick({ tuning: { lr: 1 } }),
      { "tuning.lr": /unknown key; there are .*learningRate/ },
    ],
    [
      "a field that another field says",
      quick({ tuning: { rewardText: "full" } }),
      { "tuning.rewardText": /unknown key/ },
    ],
    ["a wrong type", quick({ tuning: { steps: "many" } }), { "tuning.steps": /got "many"; expected a number/ }],
    ["a fraction", quick({ tuning: { steps: 1.5 } }), { "tuning.steps": /got 1.5; expected a whole number/ }],
    ["a number out of bounds", quick({ tuning: { gamma: 2 } }), { "tuning.gamma": /got 2; expected at most 1/ }],
    ["a section that is none", quick({ sae: [] }), { sae: /got \[\]; expected an object/ }],
    ["null where something is needed", quick({ reward: null }), { reward: /got null; expected an object/ }],
    [
      "a word that is none of several",
      quick({ divergence: { choose: "top" } }),
      { "divergence.choose": /"highest", "lowest"/ },
    ],
    [
      "a kind that is none",
      quick({ sae: { sparsity: { kind: "l2" } } }),
      { "sae.sparsity.kind": /got "l2"; expected one of "l1", "topk", "batchtopk", "jumprelu"/ },
    ],
    [
      "a member of another kind",
      quick({ tuning: { kl: { target: 6 } } }),
      { "tuning.kl.target": /unknown key here, one of another kind; there are mode, coefficient$/ },
    ],
    [
      "a tuning that is none",
      quick({ tuning: { kind: "sft" } }),
      { "tuning.kind": /got "sft"; expected one of "ppo", "dpo", "given"/ },
    ],
    [
      "a given model without a word that it is given",
      quick({ tuning: { model: "./t" } }),
      { "tuning.model": /unknown key here, one of another kind; there are kind, steps,/ },
    ],
    ["a kind without its members", quick({ sae: { sparsity: { kind: "topk" } } }), { "sae.sparsity.k": /is missing/ }],
    ["a place in a list", quick({ divergence: { layers: [1, -2] } }), { "divergence.layers[1]": /got -2/ }],
    ["an empty list", quick({ divergence: { layers: [] } }), { "divergence.layers": /at least 1 item$/ }],
    [
      "neither number nor list",
      quick({ divergence: { layers: "x" } }),
      { "divergence.layers": /expected a number, or an array/ },
    ],
    [
      "a source that is none",
      quick({ data: { source: 5 } }),
      { "data.source": /got 5; expected "starter", or an object \(keys: file, hub, split, config\)/ },
    ],
    ["a source without its split", quick({ data: { source: { hub: "a/b" } } }), { "data.source.split": /is missing/ }],
    ["two sources", quick({ data: { source: { file: "a.csv", split: "x" } } }), { "data.source.split": /unknown key/ }],
    [
      "a file of another format",
      quick({ data: { source: { file: "a.txt" } } }),
      { "data.source.file": /\.parquet \(got "a.txt"\)/ },
    ],
    [
      "a hub id that is none",
      quick({ data: { source: { hub: "imdb", split: "x" } } }),
      { "data.source.hub": /owner\/name/ },
    ],
    ["a name for another file system", quick({ name: "My run" }), { name: /got "My run"/ }],
    [
      "edits of words that cannot be met",
      quick({
        reward: {
          edits: [
            { word: "Bad", flip: true },
            { word: "well-made", rating: 1 },
          ],
        },
      }),
      { "reward.edits[0].word": /one word in lower case/, "reward.edits[1].word": /as the reward's tokenizer cuts it/ },
    ],
    [
      "an edit with nothing to say",
      quick({ reward: { edits: [{ word: "bad" }] } }),
      { "reward.edits[0].rating": /is missing/ },
    ],
    [
      "an edit with two things to say",
      quick({ reward: { edits: [{ word: "bad", rating: 1, factor: 2 }] } }),
      { "reward.edits[0].factor": /unknown key/ },
    ],
    [
      "an edit without end",
      '{"preset": "quick", "reward": {"edits": [{"word": "bad", "factor": 1e999}]}}',
      { "reward.edits[0].factor": /got 1e999/ },
    ],
    ["a seed that is too large", quick({ seed: 2 ** 32 }), { seed: /at most 4294967295/ }],
    [
      "several things at once",
      quick({ seed: "1", tuning: { epochs: 0 }, report: { word: 1 } }),
      { seed: /a number/, "tuning.epochs": /more than 0/, "report.word": /there are samples, words/ },
    ],
  ])("%s", (_what, source, expected) => {
    const issues = issuesOf(source);
    expect(new Set(Object.keys(issues))).toEqual(new Set(Object.keys(expected)));
    for (const [path, message] of Object.entries(expected)) expect(issues[path]).toMatch(message);
  });

  it("but not what only looks like it", () => {
    const text =
      '\uFEFF{"preset": "quick", "name": "a", "data": {"limit": 600, "source": {"file": "/x{\\"a\\":1,\\"a\\":2}.csv"}}, "analysis": {"limit": 600, "source": "starter"}}';
    expect(parseExperiment(text)).toMatchObject({ name: "a", data: { limit: 600 }, analysis: { limit: 600 } });
  });

  it("and so is what does not fit together", () => {
    expect(issuesOf(quick({ tuning: { batchSize: 60, miniBatchSize: 16 } }))).toEqual({
      "tuning.miniBatchSize": "must divide batchSize (got 16)",
    });
    expect(issuesOf(quick({ tuning: { warmupSteps: 1000 } }))["tuning.warmupSteps"]).toContain("less than steps");
    expect(issuesOf(quick({ sampling: { promptTokens: { min: 9, max: 2 } } }))["sampling.promptTokens.max"]).toContain(
      "min",
    );
    expect(issuesOf(quick({ data: { limit: 100, heldOut: 100 } }))["data.heldOut"]).toContain("leaves none of the 100");
    expect(issuesOf(quick({ data: { limit: 100, heldOut: 0.5 } }))["tuning.batchSize"]).toContain("50 texts");
    expect(issuesOf(quick({ data: { heldOut: 0 } }))["data.heldOut"]).toContain("analysis is null");
    expect(issuesOf(quick({ data: { heldOut: 1.5 } }))["data.heldOut"]).toContain("share below 1");
    expect(issuesOf(quick({ sae: { bufferTokens: 100 } }))["sae.batchTokens"]).toContain("100");
    expect(issuesOf(quick({ sae: { multiples: [2, 1] } }))["sae.multiples"]).toContain("grow");
    expect(issuesOf(quick({ divergence: { layers: [1, 1] } }))["divergence.layers"]).toContain("twice");
    expect(issuesOf(quick({ tuning: { kind: "given", model: "starter" } }))["tuning.model"]).toContain(
      "nothing to compare",
    );
    const edits = [
      { word: "bad", flip: true },
      { word: "house", factor: 2 },
      { word: "bad", rating: 1 },
    ];
    expect(issuesOf(quick({ reward: { edits } }))).toEqual({
      "reward.edits[1].word":
        '"house" is not in the lexicon: give a rating instead of a factor or a flip (got "house")',
      "reward.edits[2].word": 'names "bad" a second time (got "bad")',
    });
    const { reward } = parseExperiment(quick({ reward: { edits: [{ word: "house", rating: 2 }] } }));
    expect(editsOf(reward)).toHaveLength(1);
    expect(
      issuesOf(quick({ tuning: { kind: "given", model: "./t" }, reward: { edits: [edits[0]] } }))["reward.edits"],
    ).toContain("no effect");
  });

  it("and so are settings of a tuning that does not take place", () => {
    const given = { kind: "given", model: "./t" };
    const issues = issuesOf(
      quick({ tuning: { ...given, steps: 3, kl: { coefficient: 1 } }, sampling: { temperature: 0.7 } }),
    );
    expect(Object.keys(issues)).toEqual(["tuning.steps", "tuning.kl"]);
    expect(issues["tuning.steps"]).toBe("unknown key here, one of another kind; there are kind, model");
    expect(parseExperiment(quick({ tuning: given, sampling: { temperature: 0.7 } })).sampling.temperature).toBe(0.7);
    expect(parseExperiment(quick({ tuning: given, data: { limit: 40, heldOut: 20 } })).data.limit).toBe(40);
  });
});

describe("held-out texts", () => {
  it("are a share or a number", () => {
    expect([0, 0.001, 0.1, 0.999, 1, 30].map((heldOut) => heldOutCount(heldOut, 45))).toEqual([0, 1, 4, 44, 1, 30]);
  });
});

describe("the JSON Schema", () => {
  it("asks for the preset alone, but for whole sources and edits", () => {
    const schema = experimentJsonSchema();
    expect(schema["required"]).toEqual(["preset"]);
    const text = JSON.stringify(schema);
    expect(text.match(/"required"/g)).toHaveLength(1 + 2 * 2 + 3);
    expect(text).not.toMatch(/oneOf|readOnly|9007199254740991/);
    expect(schema).toMatchObject({
      properties: { preset: { enum: [...presetNames] }, sampling: { additionalProperties: false } },
    });
  });

  it("knows the keys at a path", () => {
    expect(keysAt(["tuning", "kl"])).toEqual(["mode", "coefficient", "target", "horizon"]);
    expect(keysAt(["data", "source"])).toEqual(["file", "hub", "split", "config"]);
    expect(keysAt(["seed"])).toEqual([]);
    expect(keysAt(["divergence", "layers", 0])).toEqual([]);
  });
});
