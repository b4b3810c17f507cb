import { afterAll, beforeAll, expect, test } from "vitest";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { numberTokenizer } from "../../test/support/number-tokenizer.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { loadModel } from "../models/checkpoint.ts";
import type { Triple } from "../tasks/task.ts";
import { benchProbe, probeBenchSchema } from "./probe-timing.ts";

let device: Device;
beforeAll(async () => {
  device = await createCpuDevice({ threads: 1 });
});
afterAll(() => device.close());

/** "1 2 <word>" with words 10 to 19 positive, 20 to 29 negative, 30 to 39 neutral. */
const triples = Array.from({ length: 60 }, (_, index): Triple => {
  const side = (word: number) => ({ text: `1 2 ${word}`, word: String(word), start: 4, end: 6 });
  const [p, n] = [index % 10, (index * 7) % 10];
  return {
    id: `t${index}`,
    source: "made",
    original: "positive",
    positive: side(10 + p),
    negative: side(20 + n),
    neutral: side(30 + p),
  };
});
const values = new Map(
  Array.from({ length: 20 }, (_, at) => [String(10 + at), at < 10 ? 1 + at / 10 : -at / 10] as const),
);
const ratings = { values, range: { low: -1.9, high: 1.9 } };

test("times the work, checks it, and fits its schema", async () => {
  const model = await loadModel(device, modelFolder("gpt-neox"));
  const options = { device, model, tokenizer: numberTokenizer, triples, ratings };
  const result = await benchProbe({ ...options, ridge: { rows: 60, columns: 20 } });
  expect(probeBenchSchema.parse(result)).toEqual(result);
  expect(result).toMatchObject({ name: "probe", check: "ok", triples: 60, ridgeRows: 60, ridgeColumns: 20 });
  expect(result.features).toBe(3 * model.config.width);
  for (const value of [result.collectTextsPerSecond, result.evaluationSeconds, result.ridgeSeconds])
    expect(value).toBeGreaterThan(0);
  expect(JSON.stringify(result)).not.toContain("null");
});

test("a batch that says something else than single texts is not called ok", async () => {
  const model = await loadModel(device, modelFolder("gpt-neox"));
  let runs = 0;
  const drifting: Device = {
    kind: "cpu",
    description: "a device that adds up wrongly from its second program on",
    createState: (entries) => device.createState(entries),
    close: () => device.close(),
    compile: async (spec) => {
      const program = await device.compile(spec);
      runs += 1;
      const wrong = runs > 1 ? 0.01 : 0;
      return {
        dispose: () => program.dispose(),
        run: async (inputs) =>
          Object.fromEntries(
            Object.entries(await program.run(inputs)).map(([name, values]) => [name, values.map((v) => v + wrong)]),
          ),
      };
    },
  };
  const options = { device: drifting, model, tokenizer: numberTokenizer, triples, ratings };
  const { check } = await benchProbe({ ...options, ridge: { rows: 30, columns: 5 } });
  expect(check).toMatch(/a text in a batch differs from the same text alone by 0\.0/);
});
