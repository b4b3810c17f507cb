import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectClose } from "../../test/conformance/close-to.ts";
import { modelFolder, ORACLE_MODELS } from "../../test/conformance/fixtures.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import type { Values } from "../engine/graph.ts";
import { loadModel } from "../models/checkpoint.ts";
import { ContextLengthError } from "../models/errors.ts";
import { forward, logitsOf, type Model, plainPositions } from "../models/model.ts";
import { PairScorer } from "./pair-batch.ts";
import { needsOf, pairInputs } from "./pair-rows.ts";
import { batchNeeds } from "./row-shapes.ts";
import type { TokenizedAnswer, TokenPair } from "./token-pair.ts";

const answer = (prompt: readonly number[], ids: readonly number[]): TokenizedAnswer => ({
  prompt: Int32Array.from(prompt),
  answer: Int32Array.from(ids),
});
const prompt = [7, 11, 13, 17, 19, 23];

/** Every way in which two answers can share what comes before them. */
const pairs: readonly TokenPair[] = [
  { chosen: answer(prompt, [31, 37, 41]), rejected: answer(prompt, [43, 47, 53, 59, 61]) },
  // Answers that begin alike, one of which goes on.
  { chosen: answer(prompt, [31, 37, 41, 43]), rejected: answer(prompt, [31, 37]) },
  // Prompts that differ, because a token merged across their end.
  { chosen: answer([7, 11, 13], [17, 19, 23, 29]), rejected: answer([7, 11, 12], [18, 20]) },
  // One token each.
  { chosen: answer(prompt, [5]), rejected: answer(prompt, [6]) },
  // Nothing predicts the first token of an answer without a prompt.
  { chosen: answer([], [31, 37, 41]), rejected: answer([], [67, 71, 73, 79]) },
  { chosen: answer([3], [2, 2, 2, 2, 2, 2, 2, 2, 2]), rejected: answer([4], [2, 2, 2, 2, 2, 2, 2, 2, 2]) },
];

describe("layout", () => {
  const [pair, , , short] = pairs;
  if (pair === undefined || short === undefined) throw new Error("no pair");

  const rowOf = (inputs: Readonly<Record<string, Values>>, name: string): number[] => Array.from(inputs[name] ?? []);

  it("reads what both texts begin with once, and never their last tokens", () => {
    expect(pairs.map(needsOf)).toEqual([
      { tokens: 12, rowPlaces: 12, scoredPlaces: 8, textPlaces: 10 },
      { tokens: 9, rowPlaces: 9, scoredPlaces: 6, textPlaces: 9 },
      { tokens: 8, rowPlaces: 8, scoredPlaces: 6, textPlaces: 6 },
      { tokens: 6, rowPlaces: 6, scoredPlaces: 2, textPlaces: 6 },
      { tokens: 5, rowPlaces: 5, scoredPlaces: 5, textPlaces: 3 },
      { tokens: 18, rowPlaces: 18, scoredPlaces: 18, textPlaces: 9 },
    ]);
    const shape = { tokens: 20, rowPlaces: 14, scoredPlaces: 11, textPlaces: 10 };
    const inputs = pairInputs([pair, short], { ...shape, pairs: 3, localWindow: undefined });
    expect(rowOf(inputs, "ids")).toEqual([...prompt, 31, 37, 43, 47, 53, 59, ...prompt, 0, 0]);
    expect(rowOf(inputs, "positions")).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 0, 0]);
    const places = (from: number, count: number): number[] => Array.from({ length: count }, (_, at) => from + at);
    const none = (count: number): number[] => new Array(count).fill(0);
    expect(rowOf(inputs, "tokenPlaces")).toEqual([...places(0, 12), ...places(14, 6), 0, 0]);
    expect(rowOf(inputs, "placeTokens")).toEqual([...places(0, 12), 0, 0, ...places(12, 6), ...none(8 + 14)]);
    expect(rowOf(inputs, "states")).toEqual([5, 6, 7, 5, 8, 9, 10, 11, 17, 17, 0]);
    expect(rowOf(inputs, "targets")).toEqual([31, 37, 41, 43, 47, 53, 59, 61, 5, 6, 0]);
    expect(rowOf(inputs, "answers")).toEqual([0, 0, 0, 3, 3, 3, 3, 3, 1, 4, 0]);
    expect(rowOf(inputs, "mask")).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    expect(rowOf(inputs, "lengths")).toEqual([3, 1, 1, 5, 1, 1]);
    expect(inputs["localTextBias"]).toBeUndefined();
  });

  it("lets a token see its own text alone, within the window of local layers", () => {
    const inputs = pairInputs([pair], { ...needsOf(pair), pairs: 1, localWindow: 3 });
    const seen = (name: string, query: number): number[] =>
      rowOf(inputs, name)
        .slice(12 * query, 12 * (query + 1))
        .flatMap((bias, key) => (bias === 0 ? [key] : []));
    expect(seen("textBias", 7)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(seen("textBias", 9)).toEqual([0, 1, 2, 3, 4, 5, 8, 9]);
    expect(seen("localTextBias", 7)).toEqual([5, 6, 7]);
    expect(seen("localTextBias", 8)).toEqual([4, 5, 8]);
    expect(seen("localTextBias", 11)).toEqual([9, 10, 11]);
  });

  it("what does not fit is a defect", () => {
    const layout = { ...needsOf(pair), pairs: 1, localWindow: undefined };
    expect(() => pairInputs([pair], { ...layout, rowPlaces: 11 })).toThrow(/a pair of 12 places in a row of 11/);
    expect(() => pairInputs([pair], { ...layout, tokens: 11 })).toThrow(/more than 11 tokens/);
    expect(() => pairInputs([pair], { ...layout, scoredPlaces: 7 })).toThrow(/more than 7 scored tokens/);
    expect(() => pairInputs([pair, pair], layout)).toThrow(/2 pairs in a batch of 1/);
  });
});

describe.each(ORACLE_MODELS)("log-probabilities of pairs by %s", (name) => {
  let device: Device;
  let model: Model;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
    model = await loadModel(device, modelFolder(name));
  });
  afterAll(() => device.close());

  it("equal those of each answer alone, in a batch with room to spare", async () => {
    const { tokens, rowPlaces, scoredPlaces, textPlaces } = batchNeeds(pairs.map(needsOf));
    const shape = { tokens: tokens + 4, rowPlaces: rowPlaces + 3, scoredPlaces: scoredPlaces + 5, textPlaces };
    const scorer = await PairScorer.create(device, model, { shape, pairs: pairs.length + 2, frozen: false });
    const scores = await scorer.score(pairs);
    await scorer.dispose();
    for (const [at, pair] of pairs.entries()) {
      const alone = [await aloneOf(pair.chosen), await aloneOf(pair.rejected)];
      const found = [scores[at]?.chosen ?? Number.NaN, scores[at]?.rejected ?? Number.NaN];
      expectClose(`pair ${at}`, found, alone, { absolute: 5e-5, relative: 0 });
    }
  });

  it("takes rows that are longer than the context, and no text that is", async () => {
    const { contextLength } = model.config;
    const fills = (length: number, id: number): TokenizedAnswer => answer([id], new Array(length).fill(id));
    const long = { chosen: fills(contextLength, 3), rejected: fills(contextLength, 4) };
    const shape = needsOf(long);
    expect(shape.rowPlaces).toBe(2 * contextLength);
    const scorer = await PairScorer.create(device, model, { shape, pairs: 1, frozen: true });
    const [found] = await scorer.score([long]);
    await scorer.dispose();
    expectClose("the rejected answer", [found?.rejected ?? Number.NaN], [await aloneOf(long.rejected)], {
      absolute: 0,
      relative: 2e-6,
    });
    const tooLong = needsOf({ chosen: fills(contextLength + 1, 3), rejected: fills(1, 4) });
    await expect(PairScorer.create(device, model, { shape: tooLong, pairs: 1, frozen: true })).rejects.toThrow(
      ContextLengthError,
    );
  });

  async function aloneOf({ prompt: before, answer: ids }: TokenizedAnswer): Promise<number> {
    const all = Int32Array.from([...before, ...ids]).subarray(0, -1);
    const shape = [1, all.length] as const;
    const logits = logitsOf(model, forward(model, { shape }).hidden);
    const program = await device.compile({ stores: [model.store], outputs: { logits } });
    const { logits: values = [] } = await program.run({ ids: all, positions: plainPositions(shape) });
    await program.dispose();
    const V = model.config.vocabSize;
    return [...ids.entries()].reduce((sum, [at, id]) => {
      const place = before.length + at - 1;
      if (place < 0) return sum;
      const own = [...values.slice(place * V, (place + 1) * V)];
      return sum + (own[id] ?? Number.NaN) - Math.log(own.reduce((total, logit) => total + Math.exp(logit), 0));
    }, 0);
  }
});
