import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Lens } from "../../../server/lens/lens.ts";
import { activationsOf, tokenAt } from "../../../server/lens/reading.ts";
import { valuesOf } from "../../../server/lens/values.ts";
import { wordValuesOf } from "../../../server/lens/word-values.ts";
import { type TokenSpan, tokenSpan, wordSpans } from "../../../server/lens/words.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { leverages } from "../../../server/probe/familiarity.ts";
import { polarRows, type TripleFeatures } from "../../../server/probe/features.ts";
import { loadProbe } from "../../../server/probe/format.ts";
import { type LinearProbe, probeRewards } from "../../../server/probe/linear-probe.ts";
import type { WordFolds } from "../../../server/probe/word-folds.ts";
import { AblationSet, type FeatureId } from "../../../server/protocol/ablation.ts";
import type { LensMode } from "../../../server/protocol/lens.ts";
import { vaderScore } from "../../../server/rewards/vader.ts";
import { makeTinyRun, type TinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const text = "This movie was a wonderful, moving film. The plot is terrible 😀 and boring!";

function ablation(features: Readonly<Record<FeatureId, number>>): AblationSet {
  return AblationSet.parse({
    format: "lfp-ablation/1",
    features: Object.entries(features).map(([id, factor]) => ({ id, factor })),
  });
}

/** With words that the tiny run's tokenizer cuts into several tokens. */
const long = "An unforgettable, unprecedented film. The plot is terrible 😀 and boring!";

function spanOf({ start, end }: { start: number; end: number }, firstToken: number, tokens: number): TokenSpan {
  return { start, end, firstToken, endToken: firstToken + tokens };
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const meanOf = (values: readonly number[]): number => sumOf(values) / values.length;

describe("a lens on a run", () => {
  let run: TinyRun;
  let lens: Lens;
  beforeAll(async () => {
    run = await makeTinyRun(await scratchFolder());
    lens = await openLens(run.folder, { threads: 1 });
  }, 60_000);
  afterAll(() => lens.close());

  it("says what it looks through", () => {
    expect(lens.info).toMatchObject({
      runFolder: run.folder,
      runName: "tiny",
      task: "sentiment",
      modelType: "gpt_neox",
      layers: [0, 1],
      features: 48,
      hasTrueReward: true,
      hasFamiliarity: true,
      hasBase: true,
      hasFeatureStore: false,
    });
  });

  it("gives at the targets of triples what the fold that did not see the word predicts for their rows", async () => {
    const byFold = foldPredictions(run.wordFolds, run.probe, run.features);
    const sides = [...run.triples.map(({ positive }) => positive), ...run.triples.map(({ negative }) => negative)];
    for (const [row, side] of sides.entries()) {
      const reading = await lens.read(side.text);
      const inside = [...reading.starts.keys()].filter(
        (token) => (reading.starts[token] ?? 0) < side.end && (reading.ends[token] ?? 0) > side.start,
      );
      const mean = inside.reduce((sum, token) => sum + (reading.implicit[token] ?? 0), 0) / inside.length;
      expect(mean).toBeCloseTo(byFold[run.wordFolds.foldOf.get(side.word) ?? -1]?.[row] ?? Number.NaN, 4);
    }
  });

  it("reads words that the probe was not fitted on by the probe itself", async () => {
    const unknown = "The fantabulous film. It was a table.";
    const reading = await lens.read(unknown);
    expect([...reading.folds].every((fold) => fold === -1)).toBe(true);
    const { probe } = await loadProbe(join(run.folder, "probe"));
    for (const [token, implicit] of reading.implicit.entries()) {
      let sum = probe.intercept;
      for (const [column, weight] of probe.weights.entries())
        sum += weight * (activationsOf(reading, column)[token] ?? 0);
      expect(implicit).toBeCloseTo(sum, 6);
    }
  });

  it("says of the targets' tokens how familiar they are, by the leverage of their rows", async () => {
    const { familiarity: saved } = await loadProbe(join(run.folder, "probe"));
    if (saved === undefined) throw new Error("the run holds no familiarity");
    const expected = leverages(polarRows(run.features), saved);
    const sides = [...run.triples.map(({ positive }) => positive), ...run.triples.map(({ negative }) => negative)];
    let compared = 0;
    for (const [row, side] of sides.entries()) {
      const { starts, ends, familiarity } = await lens.read(side.text);
      const inside = [...starts.keys()].filter(
        (token) => (starts[token] ?? 0) < side.end && (ends[token] ?? 0) > side.start,
      );
      // A row of several tokens is of their mean features, whose leverage is at most the mean of theirs.
      const mean = inside.reduce((sum, token) => sum + (familiarity?.[token] ?? 0), 0) / inside.length;
      const own = (expected[row] ?? Number.NaN) / saved.limit;
      if (inside.length === 1) expect(mean).toBeCloseTo(own, 4);
      else expect(mean).toBeGreaterThanOrEqual(own - 1e-4);
      compared += Number(inside.length === 1);
    }
    expect(compared).toBeGreaterThan(3);
  });

  it("marks in the probe's own modes, and only there, what is unfamiliar", async () => {
    const { familiarity } = await lens.read(text);
    const far = [...(familiarity ?? [])].flatMap((ratio, token) => (ratio > 1 ? [token] : []));
    for (const kind of ["implicit", "disagreement", "tunedMinusBase"] as const)
      expect((await valuesOf(lens, text, { kind })).unfamiliar).toEqual(far);
    expect((await valuesOf(lens, text, { kind: "true" })).unfamiliar).toEqual([]);
    expect((await valuesOf(lens, text, { kind: "feature", id: "L0/F1" })).unfamiliar).toEqual([]);
  });

  it("explains a number by parts that sum to it", async () => {
    const reading = await lens.read(text);
    for (const token of reading.starts.keys()) {
      const { implicit, intercept, contributions, rest } = lens.explain(text, reading, tokenSpan(reading, token), 3);
      const sum = contributions.reduce(
        (total, { contribution }) => total + contribution,
        intercept + rest.contribution,
      );
      expect(sum).toBeCloseTo(implicit, 9);
      for (const { activation, weight, contribution } of contributions)
        expect(contribution).toBeCloseTo(activation * weight, 9);
    }
  });

  it("gives a word the value that was fitted at targets, by parts that sum to it", async () => {
    const { probe, wordFolds } = await loadProbe(join(run.folder, "fitted"));
    if (wordFolds === undefined) throw new Error("the fitted log-ratios have no folds");
    const byFold = foldPredictions(wordFolds, probe, run.features);
    let pieces = 0;
    for (const [row, { positive: side }] of run.triples.entries()) {
      const reading = await lens.read(side.text);
      const inside = [...reading.starts.keys()].filter(
        (token) => (reading.starts[token] ?? 0) < side.end && (reading.ends[token] ?? 0) > side.start,
      );
      const [first = 0] = inside;
      const found = lens.explainFitted(reading, spanOf(side, first, inside.length), 3);
      if (found === null) throw new Error("the run holds no fitted log-ratios");
      expect(found.value).toBeCloseTo(byFold[wordFolds.foldOf.get(side.word) ?? -1]?.[row] ?? Number.NaN, 3);
      const listed = found.contributions.reduce((sum, { contribution }) => sum + contribution, 0);
      expect(listed + found.intercept + found.rest.contribution).toBeCloseTo(found.value, 9);
      expect(found.contributions.length).toBeLessThanOrEqual(3);
      pieces = Math.max(pieces, inside.length);
    }
    expect(pieces).toBeGreaterThan(1);
  });

  it("gives words numbers: sums of log-ratios, and what reads features at their mean", async () => {
    const ofWords = async (mode: LensMode) => (await wordValuesOf(lens, long, mode)).values;
    const { starts, ends } = await wordValuesOf(lens, long, { kind: "implicit" });
    const words = [...starts].map((start, at) => long.slice(start, ends[at]));
    expect(words).toEqual([
      "An",
      "unforgettable",
      "unprecedented",
      "film",
      "The",
      "plot",
      "is",
      "terrible",
      "and",
      "boring",
    ]);
    const tokens = await lens.read(long);
    const inside = (at: number) =>
      [...tokens.starts.keys()].filter(
        (token) => (tokens.starts[token] ?? 0) < (ends[at] ?? 0) && (tokens.ends[token] ?? 0) > (starts[at] ?? 0),
      );
    expect(Math.max(...words.map((_, at) => inside(at).length))).toBeGreaterThan(1);
    const joins: readonly (readonly [LensMode, (values: number[]) => number])[] = [
      [{ kind: "learned" }, sumOf],
      [{ kind: "kl" }, (values) => values.at(-1) ?? Number.NaN],
      [{ kind: "implicit" }, meanOf],
      [{ kind: "tunedMinusBase" }, meanOf],
      [{ kind: "fitted" }, meanOf],
      [{ kind: "feature", id: "L1/F3" }, (values) => Math.max(...values)],
      [{ kind: "true" }, meanOf],
    ];
    for (const [mode, join] of joins) {
      const { values: byToken } = await valuesOf(lens, long, mode);
      for (const [at, value] of (await ofWords(mode)).entries()) {
        const parts = inside(at).map((token) => byToken[token] ?? null);
        const known = parts.filter((part) => part !== null);
        if (known.length < parts.length) expect(value).toBeNull();
        else expect(value, `${mode.kind} ${words[at]}`).toBeCloseTo(join(known), 9);
      }
    }
    const [read, meant, differing] = [
      await ofWords({ kind: "implicit" }),
      await ofWords({ kind: "true" }),
      await ofWords({ kind: "disagreement" }),
    ];
    for (const [at, value] of differing.entries()) {
      const [own = 0, rating = null] = [read[at], meant[at]];
      const differ = rating !== null && rating * (own ?? 0) < 0;
      expect(value).toBe(differ ? (own ?? 0) - rating : null);
    }
  });

  it("reads words at their first token where the run's probe was fitted so", async () => {
    const folder = join(await scratchFolder(), "first-piece");
    await cp(run.folder, folder, { recursive: true });
    const path = join(folder, "experiment.json");
    const experiment = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...experiment, probe: { multiToken: "firstPiece" } }));
    const first = await openLens(folder, { threads: 1 });
    for (const kind of ["implicit", "fitted"] as const) {
      const [byToken, byWord] = [await valuesOf(first, long, { kind }), await wordValuesOf(first, long, { kind })];
      for (const [at, start] of byWord.starts.entries())
        expect(byWord.values[at]).toBe(byToken.values[tokenAt(byToken, start) ?? -1]);
      const whole = await wordValuesOf(lens, long, { kind });
      expect(byWord.values).not.toEqual(whole.values);
    }
    const reading = await first.read(long);
    const word = wordSpans(reading, long).find(({ firstToken, endToken }) => endToken > firstToken + 1);
    if (word === undefined) throw new Error("no word of the text has several tokens");
    const parts = first.explain(long, reading, word, 1000);
    const sum = parts.contributions.reduce((total, { contribution }) => total + contribution, parts.intercept);
    expect(sum).toBeCloseTo(reading.implicit[word.firstToken] ?? Number.NaN, 6);
    await first.close();
  });

  it("gives words the feedback's own value and every other token none", async () => {
    const reading = await lens.read(text);
    const rated = new Map(
      vaderScore(text, { lexicon: "head" }).tokens.map(({ text: word, valence }) => [word, valence]),
    );
    const found = [...reading.starts.keys()].flatMap((token) => {
      const value = reading.trueReward[token];
      return value === null ? [] : [[text.slice(reading.starts[token], reading.ends[token]).trim(), value] as const];
    });
    expect(new Map(found)).toEqual(rated);
    expect(rated.size).toBeGreaterThan(2);
  });

  it("reads the same whether a passage is long or short, up to what the window cuts off", async () => {
    const reading = await lens.read(text);
    const longer = await lens.read(`${text} ${"It goes on and on. ".repeat(40)}`);
    for (const token of reading.starts.keys())
      expect(longer.implicit[token]).toBeCloseTo(reading.implicit[token] ?? Number.NaN, 4);
    expect(longer.starts.length).toBeGreaterThan(100);
  });

  it("gives a smiley one number: the mean over the tokens that its bytes are", async () => {
    const reading = await lens.read(text);
    const token = tokenAt(reading, text.indexOf("😀")) ?? Number.NaN;
    expect(text.slice(reading.starts[token], reading.ends[token])).toBe("😀");
    expect(tokenAt(reading, text.length)).toBeUndefined();
  });

  it("changes nothing by an empty set, nor by factors of one", async () => {
    const plain = await lens.read(text);
    expect(await lens.read(text, { ablation: ablation({}) })).toEqual(plain);
    expect(await lens.read(text, { ablation: ablation({ "L0/F1": 1 }) })).toEqual(plain);
    // A factor that rounds to one goes through the program that changes features.
    const edited = await lens.read(`${text} `, { ablation: ablation({ "L0/F1": 1 + 1e-12 }) });
    expect(edited).toEqual(await lens.read(`${text} `));
  });

  it("removes a feature: it reads 0, its layer is otherwise as before, and the layer above reads what is left", async () => {
    const plain = await lens.read(text);
    const set = ablation({ "L0/F2": 0 });
    const without = await lens.read(text, { ablation: set });
    const column = lens.columns.columnOf(0, 2) ?? Number.NaN;
    expect(Math.max(...activationsOf(plain, column))).toBeGreaterThan(0);
    expect(Math.max(...activationsOf(without, column))).toBe(0);
    for (const other of [0, 1, 3, 4]) expect(activationsOf(without, other)).toEqual(activationsOf(plain, other));
    const above = Array.from({ length: 24 }, (_, feature) => lens.columns.columnOf(1, feature) ?? 0);
    expect(
      above.some((one) => activationsOf(without, one).some((value, at) => value !== activationsOf(plain, one)[at])),
    ).toBe(true);
    const difference = await valuesOf(lens, text, { kind: "ablatedMinusNot" }, { ablation: set });
    expect(difference.values).toEqual([...without.implicit].map((value, at) => value - (plain.implicit[at] ?? 0)));
    expect(await lens.read(text)).toEqual(plain);
  });

  it("reads features of every dictionary, the base model's in the base model", async () => {
    for (const id of ["L1/F3", "L1/F39@big", "base:L0/F3"]) {
      const { values } = await valuesOf(lens, text, { kind: "feature", id });
      expect(values.some((value) => (value ?? 0) > 0)).toBe(true);
    }
    await expect(valuesOf(lens, text, { kind: "feature", id: "L1/F24" })).rejects.toThrow(/no feature L1\/F24/);
    await expect(valuesOf(lens, text, { kind: "feature", id: "L7/F0" })).rejects.toThrow(/its layers are 0, 1/);
  });

  it("compares the tuned model with the base model", async () => {
    const [tuned, base] = [await lens.read(text), await lens.read(text, { model: "base" })];
    const { values } = await valuesOf(lens, text, { kind: "tunedMinusBase" });
    expect(values).toEqual([...tuned.implicit].map((value, at) => value - (base.implicit[at] ?? 0)));
    expect(values.every((value) => value === 0)).toBe(false);
  });

  it.each([
    [{ "L0/F24": 0 }, /L0\/F24.*features 0 to 23 there/],
    [{ "L9/F0": 0 }, /L9\/F0.*no dictionary on layer 9/],
    [{ "base:L0/F0": 0 }, /base:L0\/F0.*base model/],
  ])("refuses the ablation of %j", async (features, message) => {
    await expect(lens.read(text, { ablation: ablation(features) })).rejects.toThrow(message);
  });

  it("writes on with and without an ablation from the same random numbers", async () => {
    const request = { prompts: ["This film was", "I thought"], maxNewTokens: 12, temperature: 1, seed: 3 };
    const same = await lens.compareCompletions(request, { ablation: ablation({ "L0/F1": 1 }) });
    for (const { before, after, rewardBefore } of same.completions) {
      expect(after).toBe(before);
      expect(rewardBefore).toBe(vaderScore(before, { lexicon: "head" }).reward);
    }
    const none = await lens.compareCompletions(request, { ablation: ablation({ "L0/F1": 1 + 1e-12 }) });
    expect(none).toEqual(same);
    const strong = Object.fromEntries(Array.from({ length: 24 }, (_, feature) => [`L1/F${feature}`, 0]));
    const changed = await lens.compareCompletions(request, { ablation: ablation({ ...strong, "L0/F3@big": 4 }) });
    expect(changed.completions.map(({ before }) => before)).toEqual(same.completions.map(({ before }) => before));
    expect(changed.completions.some(({ before, after }) => before !== after)).toBe(true);
    await expect(lens.compareCompletions(request, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });

  it("stops at once when it is asked to, and reads the same afterwards", async () => {
    const long = "A word and another one. ".repeat(400);
    const stopping = new AbortController();
    const reading = lens.read(long, { signal: stopping.signal });
    const other = lens.read(long);
    stopping.abort();
    await expect(reading).rejects.toThrow(/abort/);
    expect((await other).starts.length).toBeGreaterThan(1000);
  });
});

/** The scale of VADER's ratings. */
const range = { low: -3.9, high: 3.4 };

/** Of every row, by every fold's probe. */
function foldPredictions({ probes }: WordFolds, probe: LinearProbe, features: TripleFeatures): Float64Array[] {
  return probes.map((fold) => probeRewards({ ...probe, ...fold }, polarRows(features), range));
}
