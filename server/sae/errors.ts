import { LfpError } from "../common/errors.ts";

/** A layer was asked for that the model does not have. */
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

/** A folder does not hold an autoencoder that can be used here. */
export class SaeFormatError extends LfpError {
  readonly code = "input";
}
