import { LfpError } from "../common/errors.ts";
import type { ModelConfig } from "../models/architectures.ts";

/** A requested layer does not exist in the model. */
export class UnknownLayerError extends LfpError {
  readonly code = "usage";

  constructor(layer: number, layers: number) {
    super(`layer ${layer} was asked for; the model has layers 0 to ${layers - 1}`);
  }
}

/** Throws `UnknownLayerError` for layers that the model does not have. */
export function requireLayers(layers: readonly number[], { layers: count }: Pick<ModelConfig, "layers">): void {
  const unknown = layers.find((layer) => layer < 0 || layer >= count);
  if (unknown !== undefined) throw new UnknownLayerError(unknown, count);
}

/** A saved training state belongs to another training. */
export class TrainingStateError extends LfpError {
  readonly code = "input";
}

/** A folder holds no autoencoder, or one that this version cannot read. */
export class SaeFormatError extends LfpError {
  readonly code = "input";
}

/** A dictionary of others does not belong to the model, layer or place that it is used for. */
export class DictionaryFitError extends LfpError {
  readonly code = "input";

  constructor(folder: string, detail: string) {
    super(`the dictionary in ${folder} ${detail}`);
  }
}
