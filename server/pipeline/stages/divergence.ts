import { LfpError } from "../../common/errors.ts";
import { parametersOf } from "../../models/model.ts";
import { openParameters } from "../../models/parameters.ts";
import type { Stage } from "../../runs/stage.ts";
import { chooseLayers, type DivergenceMeasure, layerDivergences } from "../../sae/divergence.ts";
import { divergenceFile } from "../artifacts/divergence.ts";
import { writeJson } from "../artifacts/json-files.ts";

export interface DivergenceSettings {
  readonly measure: DivergenceMeasure;
  /** The number of layers to choose by the measure, or their indices. */
  readonly layers: number | readonly number[];
  readonly choose: "highest" | "lowest";
}

/** The settings name layers that the model does not have. */
export class LayerChoiceError extends LfpError {
  readonly code = "input";

  constructor(asked: string, layers: number) {
    super(`divergence.layers asks for ${asked}; the model has layers 0 to ${layers - 1}`);
  }
}

/** Measures how far each layer moved and chooses the layers to study. */
export const divergenceStage: Stage<DivergenceSettings, "model" | "tuned"> = {
  name: "divergence",
  codeVersion: 1,
  run: async ({ settings, input, output }) => {
    await using base = await openParameters(input("model"));
    await using tuned = await openParameters(input("tuned"));
    const layers = await layerDivergences(base, tuned, parametersOf(base.config));
    await writeJson(output, divergenceFile, {
      measure: settings.measure,
      choose: settings.choose,
      layers,
      chosen: chosenOf(settings, layers),
    });
  },
};

function chosenOf(
  { measure, layers: asked, choose }: DivergenceSettings,
  layers: Awaited<ReturnType<typeof layerDivergences>>,
): number[] {
  if (typeof asked === "number") {
    if (asked > layers.length) throw new LayerChoiceError(`${asked} layers`, layers.length);
    return chooseLayers(layers, measure, asked, choose);
  }
  const missing = asked.find((layer) => layer >= layers.length);
  if (missing !== undefined) throw new LayerChoiceError(`layer ${missing}`, layers.length);
  return asked.toSorted((a, b) => a - b);
}
