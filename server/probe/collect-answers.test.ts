import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { devicesUnderTest } from "../../test/conformance/devices.ts";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { numberTokenizer } from "../../test/support/number-tokenizer.ts";
import type { Device } from "../engine/device.ts";
import { type LoadedModel, loadModel } from "../models/checkpoint.ts";
import { answerSequence, publishedSequences } from "./answer-sequences.ts";
import { FeatureCollection, rawActivations } from "./collect.ts";
import type { TargetSequence } from "./collect-plan.ts";

/** PyTorch's means: test/fixtures/probe/make_answers.py. */
const stored: {
  readonly pairs: readonly (readonly [prompt: number[], liked: number[], disliked: number[]])[];
  readonly given: readonly (readonly number[])[];
  readonly published: readonly (readonly number[])[];
} = JSON.parse(readFileSync(new URL("../../test/fixtures/probe/answers.json", import.meta.url), "utf8"));

const spans = ([1, 2] as const).flatMap((side) =>
  stored.pairs.map((pair) => {
    const before = pair[0].map((id) => `${id} `).join("");
    const text = before + pair[side].join(" ");
    return { text, start: before.length, end: text.length };
  }),
);

describe.each(devicesUnderTest)("mean MLP outputs of answers on $kind equal PyTorch's", ({ open }) => {
  let device: Device;
  let model: LoadedModel;
  beforeAll(async () => {
    device = await open();
    model = await loadModel(device, modelFolder("gpt-neox"));
  });
  afterAll(() => device.close());

  async function means(sequences: readonly TargetSequence[]): Promise<readonly number[][]> {
    const collection = new FeatureCollection(
      { sequences },
      {
        device,
        model,
        tokenizer: numberTokenizer,
        layers: [0, 1, 2],
        encoders: { raw: rawActivations({ siteAt: () => "mlp-output" }) },
        multiToken: "average",
        tokensPerRun: 64,
      },
    );
    while (await collection.step());
    const { data, rows, columns } = (await collection.finish()).raw.rows;
    return Array.from({ length: rows }, (_, row) => [...data.subarray(row * columns, (row + 1) * columns)]);
  }

  function expectClose(found: readonly number[][], expected: readonly (readonly number[])[]): void {
    expect(found).toHaveLength(expected.length);
    for (const [row, numbers] of expected.entries())
      for (const [at, number] of numbers.entries())
        expect(Math.abs((found[row]?.[at] ?? Number.NaN) - number), `row ${row}, column ${at}`).toBeLessThan(1e-4);
  }

  it("over the answer's tokens given its prompt", async () => {
    const reading = { tokenizer: numberTokenizer, prefixIds: [], most: 32 };
    expectClose(await means(spans.map((span, row) => answerSequence(span, row, reading))), stored.given);
  });

  it("as published, over padded answers alone, with padding attended to by nothing", async () => {
    const sequences = publishedSequences(spans, { tokenizer: numberTokenizer, padId: 0, classes: 2 });
    expectClose(await means(sequences), stored.published);
    // Whoever forgets the mask or the padding gets other numbers.
    const unmasked = sequences.map(({ row, ids, places }) => ({ row, ids, places }));
    const [found] = await means(unmasked);
    expect(found?.some((number, at) => Math.abs(number - (stored.published[0]?.[at] ?? 0)) > 1e-3)).toBe(true);
  });
});
