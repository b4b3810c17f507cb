import { describe, expect, it } from "vitest";
import { rowMatrix } from "../../statistics/linear-algebra.ts";
import { ofAnswers, separabilityFigure } from "./separability.ts";

const source = { run: "demo", stage: "collect-tuned", key: "0123456789abcdef", seed: 1 };

/** Triples whose positive and negative rows lie at +-`apart` along the first feature, with a little of the second. */
function planted(triples: number, apart: number) {
  const data = new Float32Array(3 * triples * 3);
  for (let row = 0; row < 2 * triples; row += 1) {
    data[3 * row] = (row < triples ? 1 : -1) * apart;
    data[3 * row + 1] = (row % 2) / 10;
  }
  return { layers: [{ layer: 0, start: 0, end: 3 }], triples, rows: rowMatrix(data, 3 * triples, 3) };
}

describe("the figure of separability", () => {
  it("lays planted groups apart along the first component, which has nearly all of the variance", () => {
    const figure = separabilityFigure(planted(1000, 2), source);
    if (figure?.kind !== "points") throw new Error("there is a figure");
    const [positive, negative] = figure.groups;
    expect(positive?.points).toHaveLength(400);
    expect(positive?.points.every(({ x }) => Math.abs(x - 2) < 0.01)).toBe(true);
    expect(negative?.points.every(({ x }) => Math.abs(x + 2) < 0.01)).toBe(true);
    expect(figure.x).toBe("component 1 (99.9 % of the variance)");
    expect(figure.notes).toEqual(["400 of 1000 triples. The components know nothing of the words' signs."]);
  });

  it("speaks of answers for contrasts of answers", () => {
    expect(separabilityFigure(planted(4, 2), source, ofAnswers)).toMatchObject({
      title: expect.stringContaining("mean features of answers"),
      groups: [{ name: "liked answers" }, { name: "disliked answers" }],
      notes: [expect.stringContaining("4 of 4 pairs.")],
    });
  });

  it("is left out where nothing can be drawn, and names no share where nothing varies", () => {
    expect(separabilityFigure(planted(1, 2), source)).toBeUndefined();
    const flat = { ...planted(4, 0), rows: rowMatrix(new Float32Array(36), 12, 3) };
    expect(separabilityFigure(flat, source)).toMatchObject({ x: "component 1" });
  });
});
