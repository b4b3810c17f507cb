import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { starterFolder } from "../../common/package-root.ts";
import { Random } from "../../common/random.ts";
import { createCpuDevice } from "../../engine/cpu/device.ts";
import type { Device } from "../../engine/device.ts";
import * as ops from "../../engine/ops.ts";
import { forward, plainPositions } from "../../models/model.ts";
import { type OpenedModel, openModel } from "../../models/open.ts";
import { type Sae, unitRows } from "../../sae/sae.ts";
import { ActivationCollector, activationsIn, peaksOf, statisticsOf } from "./activations.loops.ts";
import { Harvest } from "./harvest.ts";
import { logitEffects } from "./logit-effects.ts";
import { ExampleSelector, silentBelow } from "./select.ts";
import { nearestDirections } from "./twins.ts";
import { windowTexts } from "./windows.ts";

let device: Device;
let starter: OpenedModel;
let texts: { id: string; text: string }[];
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  starter = await openModel(device, "starter");
  const lines = (await readFile(join(starterFolder(), "reviews.jsonl"), "utf8")).split("\n").slice(0, 60);
  texts = lines.map((line, at) => ({ id: `r/${at}`, text: JSON.parse(line).text }));
});
afterAll(() => device.close());

const windowed = (maxTokens = 1e9) =>
  windowTexts(texts, { tokenizer: starter.tokenizer, contextTokens: 100, windowTokens: 16, maxTokens });

function randomSae(D: number, F: number, seed: number): Sae {
  const random = Random.fromSeed(seed);
  const values = (count: number): Float32Array => new Float32Array(count).map(() => random.normal());
  const decoder = unitRows(values(F * D), D);
  const encoderBias = values(F).map((value) => 0.1 * value);
  return { D, F, activation: { kind: "relu" }, encoder: decoder, encoderBias, decoder, decoderBias: values(D) };
}

describe("activations by feature", () => {
  it("are those of the dense rows, with their sums, bins and windows", () => {
    const [N, F] = [400, 7];
    const random = Random.fromSeed(2);
    const rows = new Float32Array(N * F).map((_, at) => (at % F === 6 ? 0 : Math.max(0, random.normal() - 0.5)));
    const collector = new ActivationCollector(F);
    for (let row = 0; row < N; row++) collector.add(rows, row, row);
    const found = collector.finish(N);
    const windowOf = Uint32Array.from({ length: N }, (_, place) => Math.floor(place / 16));
    for (let f = 0; f < F; f++) {
      const dense = Array.from({ length: N }, (_, row) => rows[row * F + f] ?? 0);
      const active = dense.filter((value) => value > 0);
      const { max, mean, histogram, ...rest } = statisticsOf(found, f, 20);
      expect(rest.active).toBe(active.length);
      expect(max).toBe(Math.max(0, ...active));
      expect(mean).toBeCloseTo(active.reduce((a, b) => a + b, 0) / Math.max(1, active.length), 6);
      expect(histogram.reduce((a, b) => a + b, 0)).toBe(active.length);
      expect(histogram[19]).toBe(active.filter((value) => value >= (max * 19) / 20).length);
      expect([...activationsIn(found, f, [37, 90])]).toEqual(dense.slice(37, 90));
      const peaks = peaksOf(found, f, windowOf);
      for (const [at, window] of peaks.windows.entries()) {
        const own = dense.slice(16 * window, 16 * window + 16);
        expect(peaks.values[at]).toBe(Math.max(...own));
        expect(dense[peaks.places[at] ?? -1]).toBe(peaks.values[at]);
      }
    }
  });
});

describe("harvest", () => {
  it("gives each token the features of its text alone, whatever it was batched with", async () => {
    const cut = windowed(900);
    const sae = randomSae(128, 24, 4);
    const dictionaries = [{ name: "d", layer: 3, site: "residual" as const, sae }];
    const { model } = starter;
    const harvest = await Harvest.open({ device, model, dictionaries, texts: cut, prefixIds: [0] });
    while (await harvest.step());
    expect(harvest.done).toBe(cut.texts.length);
    const found = (await harvest.finish()).get("d");
    for (const text of [0, 3]) {
      const ids = Int32Array.from([0, ...(cut.ids[text] ?? [])]);
      const shape = [1, ids.length] as const;
      const { layers } = forward(model, { shape });
      const output = layers[3]?.activations.residual ?? ops.fill([1], 0);
      const program = await device.compile({ stores: [model.store], outputs: { output } });
      const { output: x = [] } = await program.run({ ids, positions: plainPositions(shape) });
      await program.dispose();
      const first = cut.starts[text] ?? 0;
      for (let f = 0; f < 24; f += 5) {
        const got = found && activationsIn(found, f, [first, first + ids.length - 1]);
        for (let t = 1; t < ids.length; t += 7) {
          let sum = sae.encoderBias[f] ?? 0;
          for (let d = 0; d < 128; d++) sum += (sae.encoder[f * 128 + d] ?? 0) * (x[t * 128 + d] ?? 0);
          expect(got?.[t - 1]).toBeCloseTo(Math.max(0, sum), 3);
        }
      }
    }
  });
});

describe("examples", () => {
  it("of a feature that fires on one word show it where it fires and where it does not, from separate texts", () => {
    const cut = windowed();
    const word = cut.words.indexOf("the");
    const random = Random.fromSeed(1);
    const collector = new ActivationCollector(2);
    // Feature 0: "the" at every other place, of random strength; feature 1 is dead.
    const level = Array.from(cut.wordOf, (one, place) =>
      one === word && place % 2 === 0 ? 0.2 + random.uniform() : 0,
    );
    for (const [place, value] of level.entries()) collector.add(Float32Array.of(value, 0), 0, place);
    const activations = collector.finish(cut.tokens);
    const selector = new ExampleSelector(cut);
    const chosen = selector.choose(activations, 0, Random.fromSeed(3));
    const max = Math.max(...level);
    for (const { kind, split, window, peak, activations: own } of chosen) {
      const strongest = Math.max(...level.slice(window.first, window.end));
      expect(own).toHaveLength(window.end - window.first);
      expect(window.split).toBe(split);
      if (kind === "silent" || kind === "random") expect(strongest).toBeLessThan(silentBelow * max);
      else expect(own[peak]).toBeCloseTo(strongest, 6);
      if (kind !== "random") expect(cut.wordOf[window.first + peak]).toBe(word);
    }
    const of = (split: string, kind: string) => chosen.filter((one) => one.split === split && one.kind === kind);
    expect([of("explain", "top").length, of("score", "silent").length, of("score", "random").length]).toEqual([
      10, 10, 10,
    ]);
    const textsOf = (split: string) =>
      new Set(chosen.filter((one) => one.split === split).map(({ window }) => window.text));
    expect([...textsOf("explain")].filter((text) => textsOf("score").has(text))).toEqual([]);
    expect(selector.choose(activations, 0, Random.fromSeed(3))).toEqual(chosen);
    expect(selector.choose(activations, 1, Random.fromSeed(3))).toEqual([]);
  });

  it("do not all peak on one word while there are others", () => {
    const cut = windowed();
    const [the, film] = [cut.words.indexOf("the"), cut.words.indexOf("film")];
    const collector = new ActivationCollector(1);
    for (const [place, word] of cut.wordOf.entries())
      collector.add(Float32Array.of(word === the ? 2 : word === film ? 1 : 0), 0, place);
    const chosen = new ExampleSelector(cut).choose(collector.finish(cut.tokens), 0, Random.fromSeed(3));
    const tops = chosen.filter(({ kind, split }) => kind === "top" && split === "explain");
    const peaks = tops.map(({ window, peak }) => cut.wordOf[window.first + peak]);
    expect(peaks.filter((word) => word === film).length).toBeGreaterThan(0);
    expect(tops[0]?.activations[tops[0].peak]).toBe(2);
  });

  it("are cut from their texts exactly", () => {
    const cut = windowed();
    for (const window of cut.windows.filter(({ id }) => id % 11 === 0)) {
      const { source, text, ends } = cut.cut(window);
      const whole = texts.find(({ id }) => id === source)?.text ?? "";
      expect(whole).toContain(text);
      expect(ends).toHaveLength(window.end - window.first);
      expect(ends.at(-1)).toBe(text.length);
    }
  });
});

describe("what a feature writes", () => {
  it("promotes the tokens whose unembedding its direction points to", async () => {
    const sae = randomSae(128, 5, 9);
    const { model, tokenizer } = starter;
    const effects = await logitEffects(device, model, sae, tokenizer);
    const scale = await model.store.read("gpt_neox.final_layer_norm.weight");
    const head = await model.store.read("embed_out.weight");
    for (const [f, { promotes, suppresses }] of effects.entries()) {
      const row = sae.decoder.subarray(f * 128, (f + 1) * 128);
      const mean = row.reduce((a, b) => a + b, 0) / 128;
      const direction = Array.from(row, (value, d) => (value - mean) * (scale[d] ?? 0));
      const logits = Array.from({ length: tokenizer.vocabSize }, (_, v) =>
        direction.reduce((sum, value, d) => sum + value * (head[v * 128 + d] ?? 0), 0),
      );
      const centre = logits.reduce((a, b) => a + b, 0) / logits.length;
      const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0));
      const [best = 0, worst = 0] = [order[0], order.at(-1)];
      expect(promotes[0]?.token).toBe(tokenizer.tokenLabel(best));
      expect(promotes[0]?.logit).toBeCloseTo((logits[best] ?? 0) - centre, 4);
      expect(suppresses[0]?.token).toBe(tokenizer.tokenLabel(worst));
      expect(suppresses[0]?.logit).toBeCloseTo((logits[worst] ?? 0) - centre, 4);
    }
  });

  it("has as twin the nearest direction", () => {
    const sae = randomSae(16, 12, 1);
    const order = Random.fromSeed(5).shuffled([...Array(12).keys()]);
    const decoder = Float32Array.from(order.flatMap((row) => [...sae.decoder.subarray(row * 16, row * 16 + 16)]));
    const twins = nearestDirections(sae, { ...sae, decoder });
    expect(twins.map(({ feature }) => order[feature])).toEqual([...Array(12).keys()]);
    for (const { cosine } of twins) expect(cosine).toBeCloseTo(1, 5);
  });
});
