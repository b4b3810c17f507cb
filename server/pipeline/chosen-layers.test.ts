import { expect, it } from "vitest";
import { chosenInWords, chosenLayers } from "./chosen-layers.ts";

const choice = (values: readonly number[], chosen: readonly number[], choose = "highest") => ({
  measure: "mlpOnly",
  choose,
  layers: values.map((mlpOnly, layer) => ({ layer, mlpOnly, relative: -mlpOnly })),
  chosen,
});

it.each([
  ["changed most", choice([0.2, 1, 1.2], [1, 2]), "layers 1, 2 changed most"],
  [
    "a tie, as in the demo",
    choice([0.9697, 1.008, 1.014, 0.9973, 1.023, 1.018], [1, 2, 3, 4, 5]),
    "layers 1, 2, 3, 4, 5 changed most, close to a tie",
  ],
  ["changed least", choice([0.2, 1, 1.2], [0], "lowest"), "layer 0 changed least"],
  ["named against the measure", choice([0.2, 1, 1.2], [0, 2]), "layers 0, 2 studied, as named"],
  ["named against the measure, lowest", choice([0.2, 1, 1.2], [1], "lowest"), "layer 1 studied, as named"],
  ["all", choice([0.2, 1], [0, 1]), "all layers studied"],
  ["nothing moved", choice([0, 0, 0], [0, 1]), "layers 0, 1 changed most, close to a tie"],
])("says of %s that it is so", (_, given, words) => {
  expect(chosenInWords(given)).toBe(words);
});

it("takes the two layers that are nearest for the edge of the choice", () => {
  expect(chosenLayers(choice([3, 5, 8], [1, 2]))).toEqual({
    how: "most",
    edge: { chosen: 5, other: 3 },
    range: { low: 3, high: 8 },
    isTie: false,
  });
  expect(chosenLayers(choice([3, 5, 8], [0, 1], "lowest")).edge).toEqual({ chosen: 5, other: 8 });
});
