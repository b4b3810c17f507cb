import type { Sae } from "../sae.ts";

/** A dictionary with what its files say of where it belongs. */
export interface ForeignDictionary {
  readonly sae: Sae;
  readonly origin: DictionaryOrigin;
}

export interface DictionaryOrigin {
  /** The program, or the release, whose format it is. */
  readonly format: string;
  /** Undefined where the files do not say. */
  readonly modelName: string | undefined;
  /** What it encodes, as its program calls it: `blocks.3.hook_mlp_out`, `layers.3.mlp`. */
  readonly site: string | undefined;
  /** The mean number of active features that its makers measured, or its k. */
  readonly l0: number | undefined;
  /**
   * Whether it was trained on activations less their mean over the width, as TransformerLens gives where it centres the
   * weights that write to the residual stream.
   */
  readonly isCentred?: boolean;
}
