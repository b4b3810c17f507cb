import { describe, expect, it } from "vitest";
import { type BenchLine, cpuTable, fastestOf, partsOf, rowsOf, usualShapes } from "../bench/cpu-table.ts";

const [train] = partsOf("pythia-70m", "assets/starter");
if (train === undefined) throw new Error("no parts");

const line = (tokens: number, forward: number, peakRssMB: number, more: Partial<BenchLine> = {}): BenchLine => ({
  trainTokensPerSecond: tokens,
  forwardTokensPerSecond: forward,
  peakRssMB,
  ...more,
});
const pytorch = { fusedAdamW: true, attention: "sdpa", compiled: false };
const ours = [line(700, 2900, 2000), line(640, 3100, 2400), line(660, 2000, 2200)];
const theirs = [line(590, 2400, 1800, pytorch), line(610, 2300, 1800, pytorch), line(600, 2500, 1790, pytorch)];

describe("the table of CPU figures", () => {
  it("has medians of all runs beside each other, one row a figure", () => {
    expect(rowsOf(train, ours, theirs)).toEqual([
      {
        what: "train",
        shape: "pythia-70m",
        unit: "tokens/s",
        ours: 660,
        theirs: 600,
        ratio: 1.1,
        goal: 1.1,
        oursPeakMB: 2200,
        theirsPeakMB: 1800,
        memoryRatio: 2200 / 1800,
        pytorch: "fused AdamW, sdpa, eager",
      },
      expect.objectContaining({ what: "forward", ours: 2900, theirs: 2400, ratio: 2900 / 2400, goal: 1 }),
    ]);
    expect(rowsOf(train, ours.slice(0, 2), theirs.slice(0, 2))[0]).toMatchObject({ ours: 670, theirs: 600 });
  });

  it("says of each ratio whether its goal is met", () => {
    const lines = cpuTable(rowsOf(train, ours, theirs), "AMD EPYC, 2 threads").split("\n");
    expect(lines[0]).toBe("### AMD EPYC, 2 threads");
    expect(lines.slice(4)).toEqual([
      "| train, tokens/s | pythia-70m | 660 | 600 | 1.10 | 1.1: met | 2200 | 1800 | 1.22: missed | fused AdamW, sdpa, eager |",
      "| forward, tokens/s | pythia-70m | 2900 | 2400 | 1.21 | 1: met | 2200 | 1800 | 1.22: missed | fused AdamW, sdpa, eager |",
    ]);
  });

  it("takes PyTorch's faster way, of those that gave figures", () => {
    expect(fastestOf(train, [line(590, 1, 1), line(620, 1, 1)])).toBe(1);
    expect(fastestOf(train, [line(590, 1, 1), undefined])).toBe(0);
    const compiled = rowsOf(train, ours, [line(620, 1, 1, { ...pytorch, compiled: true })]);
    expect(compiled[0]?.pytorch).toBe("fused AdamW, sdpa, torch.compile");
  });

  it("has a part for each thing that is compared, at the usual shapes, with the goals", () => {
    for (const shape of usualShapes)
      expect(
        partsOf(shape, "assets/starter").flatMap(({ figures }) => figures.map(({ what, goal }) => [what, goal])),
      ).toEqual([
        ["train", 1.1],
        ["forward", 1],
        ["ppo", 1.1],
        ["dpo", 1.1],
        ["sae", 1.1],
        ["sampling", 1.8],
      ]);
  });

  it("times at shapes of other architectures what fits there, in both the same", () => {
    const [smol, qwen] = [partsOf("smollm2-135m", "assets/starter"), partsOf("qwen3-0.6b", "assets/starter")];
    expect(smol.flatMap(({ figures }) => figures.map(({ what }) => what))).toEqual(["train", "forward", "sampling"]);
    expect(qwen.flatMap(({ figures }) => figures.map(({ what }) => what))).toEqual(["forward", "sampling"]);
    const [first] = qwen;
    expect([first?.ours, ...(first?.theirs ?? [])].map((args) => args?.includes("--forward-only"))).toEqual([
      true,
      true,
      true,
    ]);
  });

  it("has rows of their own for libraries that do the same work", () => {
    const [dpo] = partsOf("pythia-70m", "assets/starter").filter(({ libraries }) => libraries.length > 0);
    const [library] = dpo?.libraries ?? [];
    if (dpo === undefined || library === undefined) throw new Error("no library");
    const [own, trl] = [line(0, 0, 1000, { pairsPerSecond: 3 }), { ...pytorch, peakRssMB: 2000, version: "1.16.0" }];
    const rows = rowsOf(dpo, [own], [{ ...trl, pairsPerSecond: 2 }], library);
    expect(rows).toEqual([
      expect.objectContaining({
        what: "dpo (TRL)",
        ours: 3,
        theirs: 2,
        ratio: 1.5,
        memoryRatio: 0.5,
        pytorch: "TRL 1.16.0: fused AdamW, sdpa, eager",
      }),
    ]);
    for (const shape of usualShapes)
      expect(partsOf(shape, "assets/starter").flatMap(({ libraries }) => libraries.map(({ name }) => name))).toEqual([
        "TRL",
        "SAELens",
      ]);
  });

  it("refuses a part without runs, and a line without its figure", () => {
    expect(() => rowsOf(train, [], theirs)).toThrow("a part without a run has no median");
    expect(() => rowsOf(train, ours, [])).toThrow("a part without a run of PyTorch");
    expect(() => rowsOf(train, [{ peakRssMB: 1 }], theirs)).toThrow(/no number 'trainTokensPerSecond'/);
  });
});
