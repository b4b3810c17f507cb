/**
 * The lens as a graph: token ids -> MLP outputs of the chosen layers -> features, with or without an ablation on the way. Letters as in
 * subject.ts.
 */
import { invariant } from "../common/errors.ts";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { forward, type Model } from "../models/model.ts";
import type { LensDictionary } from "./subject.ts";

export type Dictionaries = ReadonlyMap<number, LensDictionary>;

/** The dictionaries whose features are changed, each with the change that is fed to its input. */
export interface EditedDictionaries {
  readonly small: Dictionaries;
  readonly big: Dictionaries;
}

/** Name of the input [F] that says factor - 1 of each feature. */
export function changeName(size: "small" | "big", layer: number): string {
  return `change.${size}.${layer}`;
}

/** Factor - 1 of each feature of a dictionary, [F]. */
export type ChangeOf = (size: "small" | "big", dictionary: LensDictionary) => Node;

/** Changes MLP outputs, and remembers what became of the features that it changed. */
export interface AblationEdit {
  /** For `forward`; outputs [..., D]. */
  editMlpOutput(layer: number, output: Node): Node;
  /** The changed features [N, F] of each dictionary that was met. */
  readonly changed: ReadonlyMap<LensDictionary, Node>;
}

/**
 * An MLP's output x becomes x + Σ (factor_j - 1) f_j(x) d_j, first for the big dictionary's features and then for the small one's: what the
 * dictionary does not explain of x, the error term, stays as it is, and layers above read the changed x.
 */
export function ablationEdit(edited: EditedDictionaries, changeOf: ChangeOf): AblationEdit {
  const changed = new Map<LensDictionary, Node>();
  const editMlpOutput = (layer: number, output: Node): Node => {
    const flat = ops.reshape(output, [-1, output.shape.at(-1) ?? 0]);
    let x = flat;
    for (const size of ["big", "small"] as const) {
      const dictionary = edited[size].get(layer);
      if (dictionary === undefined) continue;
      const features = dictionary.encode(x);
      const change = ops.mul(features, ops.reshape(changeOf(size, dictionary), [1, -1]));
      changed.set(dictionary, ops.add(features, change));
      x = ops.add(x, ops.matmul(change, dictionary.decoder));
    }
    return x === flat ? output : ops.reshape(x, output.shape);
  };
  return { editMlpOutput, changed };
}

/** An edit whose changes are fed to the inputs of `changeName`. */
export function fedEdit(edited: EditedDictionaries): AblationEdit {
  return ablationEdit(edited, (size, { layer, features }) => ops.input(changeName(size, layer), [features]));
}

/**
 * Features [T, F] of each layer that `read` has, for one window of T tokens. With `edited`, the model is ablated; how is said by inputs of the
 * names of `changeName`. The features of an edited dictionary are given as changed, factor_j f_j; neighbours in the same dictionary keep their
 * values.
 */
export function featuresGraph(
  model: Model,
  T: number,
  read: Dictionaries,
  edited?: EditedDictionaries,
): Map<number, Node> {
  const edit = edited === undefined ? undefined : fedEdit(edited);
  const { layers } = forward(model, {
    shape: [1, T],
    ...(edit === undefined ? {} : { editMlpOutput: edit.editMlpOutput }),
  });
  const features = new Map<number, Node>();
  for (const [layer, dictionary] of read) {
    const { mlpOutput } = layers[layer] ?? {};
    invariant(mlpOutput !== undefined, `the forward pass has no layer ${layer}`);
    features.set(layer, edit?.changed.get(dictionary) ?? dictionary.encode(ops.reshape(mlpOutput, [T, -1])));
  }
  return features;
}
