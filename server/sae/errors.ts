import { LfpError } from "../common/errors.ts";

/** A requested layer does not exist in the model. */
export class UnknownLayerError extends LfpError {
  readonly code = "usage";

  constructor(layer: number, layers: number) {
    super(`layer ${layer} was asked for; the model has layers 0 to ${layers - 1}`);
  }
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
