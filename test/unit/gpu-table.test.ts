import { describe, expect, it } from "vitest";
import { gpuTable, type OurFigures, type TheirFigures } from "../bench/gpu-table.ts";

const ours = (precision: OurFigures["precision"], share: number): OurFigures => ({
  adapter: "Card",
  model: "pythia-70m-shape",
  precision,
  products: [
    { name: "mlp", tflops: 30, share },
    { name: "logits", tflops: 20.04, share: share - 0.1 },
    // Too small to fill a card: not judged.
    { name: "samplingStep", tflops: 0.5, share: 0.01 },
  ],
  refused: [],
  training: { milliseconds: 30 },
  sampling: { milliseconds: 400 },
  autoencoders: { milliseconds: 6 },
});

const theirs: TheirFigures = {
  version: "2.13.0",
  device: "Card",
  results: [
    {
      model: "pythia-70m-shape",
      products: "float32",
      matmulTflops: { mlp: 40, logits: 41 },
      trainStepMs: 40,
      samplingSeconds: 0.3,
      samplingByFoursSeconds: 1.6,
      saeTiedStepMs: 2,
      saeUntiedStepMs: 5,
    },
  ],
};

describe("the table of GPU figures", () => {
  const lines = gpuTable([ours("f32", 0.65), ours("half", 0.35)], theirs).split("\n");

  it("puts what was measured on one card beside each other", () => {
    expect(lines).toContain("### pythia-70m-shape on Card");
    expect(lines).toContain("| logits, TFLOP/s (share of the peak) | 20 (55 %) |  | 20 (25 %) | 41 |  |");
    expect(lines).toContain("| training step, ms | 30 |  | 30 | 40 |  |");
    expect(lines).toContain(
      "| autoencoder step, ms (PyTorch: tied as ours / untied, as SAELens does) | 6 |  | 6 | 2 / 5 |  |",
    );
  });

  it("judges the goals by the worst of the large products and by time ratios", () => {
    expect(lines.filter((line) => line.startsWith("- "))).toEqual([
      "- products in F32 over 50 % of the peak: met (55 % at least, of logits)",
      "- products of halves over 30 % of the peak: missed (25 % at least, of logits)",
      "- training step faster than PyTorch's, eager, float32: met (time ratio 0.75)",
      "- sampling faster than TRL's way of working, float32: met (time ratio 0.25)",
      "- autoencoders faster than SAELens's way of working, float32: missed (time ratio 1.20)",
    ]);
  });

  it("counts a large product that failed as a goal that was missed, whatever the others reach", () => {
    const one = { ...ours("f32", 0.65), refused: [{ name: "mlpBack", reason: "wrong" }] };
    expect(gpuTable([one], theirs)).toContain(
      "- products in F32 over 50 % of the peak: missed (mlpBack failed: wrong)",
    );
  });

  it("counts a step that failed as its goal missed, and leaves its place empty", () => {
    const { sampling: _, ...rest } = ours("f32", 0.65);
    const table = gpuTable([{ ...rest, refused: [{ name: "sampling", reason: "wrong" }] }], theirs);
    expect(table).toContain("- sampling faster than TRL's way of working, float32: missed (sampling failed: wrong)");
    expect(table).toContain("| training step, ms | 30 |");
  });

  it("judges nothing that was not measured", () => {
    const alone = gpuTable([ours("split", 0.3)], undefined).split("\n");
    expect(alone.filter((line) => line.startsWith("- ")).every((line) => line.endsWith(": not measured"))).toBe(true);
  });
});
