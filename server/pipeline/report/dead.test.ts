/** Dictionaries that came to nothing: a run says so and goes on. */

import { describe, expect, it } from "vitest";
import { conditionsOf, type DictionaryFacts, type ScaledFeature, tooFewToDraw } from "../../ablate/conditions.ts";
import { Random } from "../../common/random.ts";
import type { Autoencoders } from "../artifacts/autoencoders.ts";
import { deadFinding, saeFinding } from "./sae-section.ts";

const sae = (layer: number, F: number, dead: number) =>
  ({ model: "tuned", layer, F, dead }) as Autoencoders["saes"][number];

describe("dictionaries of a layer that the model hardly uses", () => {
  it("have no share of the loss to recover", () => {
    const quality = (lossZero: number, lossRecovered: number) =>
      ({ fve: 0.5, l0: 3, lossClean: 4, lossZero, lossRecovered }) as Autoencoders["saes"][number];
    const found = (saes: Autoencoders["saes"]) => saeFinding({ saes, trainingTokens: 1, steps: 1, similarities: [] });
    expect(found([quality(4.001, -10.9), quality(3.99, 4.6), quality(4.5, 0.9)])).toMatch(
      /^3 autoencoders explain .* and recover 0\.9 to 0\.9 of the loss\.$/,
    );
    expect(found([quality(4.001, -10.9)])).not.toContain("of the loss");
  });
});

describe("dictionaries of dead features", () => {
  it("stand at the top of the report with what to lower", () => {
    expect(deadFinding({ saes: [sae(0, 128, 126), sae(0, 256, 100), sae(1, 128, 70)] })).toMatch(
      /^Most features are dead in 2 of 3 autoencoders: 126 of 128 features never fire \(tuned, layer 0\)\..*Lower sae\.learningRate/,
    );
    expect(deadFinding({ saes: [sae(0, 128, 64), sae(0, 256, 0)] })).toBeUndefined();
  });

  it("leave random features out of an ablation, with the reason, where too few others are active", () => {
    const dictionary = "L0@small";
    const factsOf = (density: number[]): Map<string, DictionaryFacts> => {
      const values = Float64Array.from(density);
      return new Map([[dictionary, { density: values, mean: values, meanSquare: values }]]);
    };
    const set: ScaledFeature[] = [0, 1].map((feature) => ({ dictionary, feature, factor: 0 }));
    const draw = { draws: 3, random: Random.fromSeed(1) };
    const kinds = (facts: Map<string, DictionaryFacts>) => conditionsOf(set, facts, draw).map(({ kind }) => kind);
    const alive = factsOf([0.5, 0.2, 0.1, 0.1, 0]);
    expect(tooFewToDraw(set, alive)).toBeUndefined();
    expect(kinds(alive).filter((kind) => kind === "random")).toHaveLength(3);
    const dead = factsOf([0.5, 0, 0.1, 0, 0]);
    expect(tooFewToDraw(set, dead)).toBe(
      "beside the 2 of the set, 1 of the 5 features of L0@small are ever active, too few to draw random ones from",
    );
    expect(kinds(dead)).toEqual(["none", "this", "mean", "reconstruction"]);
  });
});
