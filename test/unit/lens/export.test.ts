import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { activationsOf, contributionsAt } from "../../../server/lens/reading.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

describe("a lens as an ONNX file", { timeout: 60_000 }, () => {
  it.each(["deltas", "predictions"] as const)(
    "gives ONNX Runtime the numbers that the lens gives, with %s scaled",
    async (normalise) => {
      const run = await makeTinyRun(await scratchFolder(), normalise);
      const lens = await openLens(run.folder, { threads: 1 });
      const text = "A plain and simple text, but a good one.";
      const reading = await lens.read(text);
      const T = 32;
      const ids = lens.tokenIds(text);
      const session = await ort.InferenceSession.create(await lens.exportOnnx(T));
      expect(session.inputNames).toEqual(["ids"]);
      expect(session.outputNames).toEqual(["rewards", "features.L0", "features.L1"]);
      // What stands behind the text is never looked at.
      const padded = new Int32Array(T).fill(99);
      padded.set(ids);
      const results = await session.run({ ids: new ort.Tensor("int32", padded, [1, T]) });
      const first = ids.length - reading.starts.length;
      const rewards = [...(results["rewards"]?.data ?? [])].map(Number).slice(first, ids.length);
      // The file knows of ids alone: it reads by the probe itself where the lens reads by the fold that did not see a word.
      const { low, high } = { low: -3.9, high: 3.4 };
      for (const [token, value] of rewards.entries()) {
        if (reading.folds[token] === -1) expect(value).toBeCloseTo(reading.implicit[token] ?? Number.NaN, 4);
        const parts = contributionsAt(reading, token, lens.weights);
        const sum = parts.reduce((total, { contribution }) => total + contribution, lens.intercept);
        const scaled = normalise === "predictions" ? Math.min(high, Math.max(low, sum)) : sum;
        expect(value).toBeCloseTo(scaled, 4);
      }
      expect(reading.folds).toContain(-1);
      const features = results["features.L1"]?.data ?? [];
      const expected = activationsOf(reading, lens.columns.columnOf(1, 5) ?? Number.NaN);
      for (const [token, value] of expected.entries()) expect(features[(first + token) * 24 + 5]).toBeCloseTo(value, 4);
      expect(Math.max(...expected)).toBeGreaterThan(0);
      await session.release();
      await lens.close();
    },
  );
});
