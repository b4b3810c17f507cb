import { afterAll, beforeAll, expect, it } from "vitest";
import { modelFolder, readModelOracle } from "../../test/conformance/fixtures.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { loadModel } from "./checkpoint.ts";
import { LogRatioScorer, type ModelPair } from "./log-ratio.ts";
import { NextTokenLogRatios } from "./target-log-ratio.ts";

const [first = [], second = []] = readModelOracle("gpt-neox").ids;
const texts = [first.slice(0, 6), second.slice(0, 4)].map((ids) => Int32Array.from(ids));

let device: Device;
let pair: ModelPair;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
  pair = {
    tuned: await loadModel(device, modelFolder("gpt-neox"), { prefix: "tuned." }),
    base: await loadModel(device, modelFolder("gpt-neox-sequential")),
  };
});
afterAll(() => device.close());

it("gives for tokens of texts what all logits give, and refuses what does not fit its shape", async () => {
  const shape = [2, 6] as const;
  const all = await LogRatioScorer.create(device, pair, { shape });
  const chosen = await NextTokenLogRatios.create(device, pair, { shape, most: 4 });
  const asked = texts.flatMap((ids, text) => [1, 3].map((at) => ({ text, place: at - 1, id: ids[at] ?? 0 })));
  const expected = (await all.score(texts)).flatMap(({ logRatio }) => [logRatio[1] ?? 0, logRatio[3] ?? 0]);
  const found = [...(await chosen.score(texts, asked))];
  expect(found).toEqual(expected.map((value) => expect.closeTo(value, 5)));

  const long = Int32Array.from(first.slice(0, 7));
  for (const score of [(own: Int32Array[]) => all.score(own), (own: Int32Array[]) => chosen.score(own, [])]) {
    await expect(score([long, texts[1] ?? long])).rejects.toThrow(/text of 7 tokens .* a program for 6/);
    await expect(score([...texts, ...texts])).rejects.toThrow(/4 texts .* a program for 2/);
  }
  await expect(chosen.score(texts, [...asked, ...asked])).rejects.toThrow(/8 tokens were asked of a program for 4/);
  const beyond = [{ text: 1, place: 4, id: 1 }];
  await expect(chosen.score(texts, beyond)).rejects.toThrow(/place 4 of a text of 4 tokens/);
  await Promise.all([all.dispose(), chosen.dispose()]);
});
