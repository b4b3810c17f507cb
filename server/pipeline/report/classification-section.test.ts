import { beforeAll, describe, expect, it } from "vitest";
import { evaluateClassification } from "../../probe/classification.ts";
import { type ClassificationReport, defaultClassificationSettings } from "../../probe/classification-types.ts";
import { rowMatrix } from "../../statistics/linear-algebra.ts";
import { evidenceOf } from "../finished/lens-evidence.ts";
import { probeInReport } from "./probe-reports.ts";

const source = { run: "demo", stage: "probe", key: "0123456789abcdef", seed: 1 };
const n = 40;

/** Liked answers have a feature that disliked ones lack, and the base model has it as well. */
async function planted(): Promise<ClassificationReport> {
  const answers = Array.from({ length: 2 * n }, (_, row) => `the answer number ${row % 11} ${row < n ? "yes" : "no"}`);
  const span = (text = "") => ({ text, start: 0, end: text.length });
  const rows = Float32Array.from({ length: 4 * n }, (_, at) => (at % 2 === 0 && at < 2 * n ? 1 : (at % 5) / 10));
  const features = { layers: [{ layer: 3, start: 0, end: 2 }], rows: rowMatrix(rows, 2 * n, 2) };
  const { report } = await evaluateClassification(
    {
      contrasts: Array.from({ length: n }, (_, at) => ({
        id: `${at}`,
        source: "made up",
        group: `prompt ${at % 20}`,
        positive: span(answers[at]),
        negative: span(answers[n + at]),
      })),
      features,
      baseModel: features,
      tokens: new Int32Array(2 * n).fill(6),
      published: features,
    },
    { ...defaultClassificationSettings, resamples: 20, labelShuffles: 2 },
  );
  return report;
}

describe("the section of a classification", () => {
  let report: ClassificationReport;
  beforeAll(async () => {
    report = await planted();
  });

  it("has every baseline beside the probe in Table 3, and the paper's numbers with what confounds them", () => {
    const { section, finding } = probeInReport(report, source, 10);
    const [accuracy, differences, paper] = section.tables;
    expect(accuracy?.rows.slice(0, 5).map(([name, share]) => [name, share])).toEqual([
      ["probe on features", 100],
      ["length of the answer alone, in tokens", 50],
      ["bag of words of the answer", 100],
      ["raw activations of the tuned model", null],
      ["features of the base model", 100],
    ]);
    expect(differences?.rows.find(([name]) => name === "features of the base model")).toEqual([
      "features of the base model",
      0,
      0,
      0,
    ]);
    expect(paper?.rows.map(([name]) => name)).toContain("paper, Pythia-70m");
    expect(paper?.rows[0]?.[0]).toMatch(/^this run, as published \(5 test rows\)/);
    expect(section.text.join(" ")).toMatch(/it is not shown that the probe does better than the base model's features/);
    expect(section.text.join(" ")).toMatch(/cut after 16 tokens/);
    expect(finding).toMatch(/^Of the answers of 40 pairs to 20 prompts.*tells 100 % right.*50 % from length alone/);
  });

  it("is evidence for the lens, with the accuracy of length beside it", () => {
    expect(evidenceOf(report, undefined)).toEqual({
      kind: "classification",
      accuracy: { share: 1, low: 1, high: 1 },
      lengthAccuracy: 0.5,
      contrasts: n,
      typicalSize: report.typicalSize,
      typicalRating: null,
    });
  });
});
