/**
 * The lens as a graph: token ids -> activations of the chosen layers -> features, optionally under an ablation.
 * Letters as in subject.ts.
 */
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { ActivationEdit } from "../models/architecture.ts";
import { forward, type Model } from "../models/model.ts";
import { activationsAt } from "../models/sites.ts";
import type { LensDictionary } from "./subject.ts";

export type Dictionaries = ReadonlyMap<number, LensDictionary>;

/** The dictionaries whose features an ablation changes; each reads its change from an input. */
export interface EditedDictionaries {
  readonly small: Dictionaries;
  readonly big: Dictionaries;
}

/** Name of the input [F] with factor - 1 of each feature. */
export function changeName(size: "small" | "big", layer: number): string {
  return `change.${size}.${layer}`;
}

/** Factor - 1 of each feature of a dictionary, [F]. */
export type ChangeOf = (size: "small" | "big", dictionary: LensDictionary) => Node;

/** Edits activations, and records the changed features. */
export interface AblationEdit {
  /** The hook for `forward`; activations [..., D]. */
  readonly editActivations: ActivationEdit;
  /** The changed features [N, F] of each dictionary that the forward pass reached. */
  readonly changed: ReadonlyMap<LensDictionary, Node>;
}

/**
 * Replaces the activations x of the dictionaries' sites by x + Σ (factor_j - 1) f_j(x) d_j, first for the big dictionary's features and then
 * for the small one's. The error term, which the dictionary does not explain of x, is unchanged, and layers above
 * read the changed x.
 */
export function ablationEdit(edited: EditedDictionaries, changeOf: ChangeOf): AblationEdit {
  const changed = new Map<LensDictionary, Node>();
  const editActivations: ActivationEdit = ({ layer, site }, activations) => {
    const flat = ops.reshape(activations, [-1, activations.shape.at(-1) ?? 0]);
    let x = flat;
    for (const size of ["big", "small"] as const) {
      const dictionary = edited[size].get(layer);
      if (dictionary?.site !== site) continue;
      const features = dictionary.encode(x);
      const change = ops.mul(features, ops.reshape(changeOf(size, dictionary), [1, -1]));
      changed.set(dictionary, ops.add(features, change));
      x = ops.add(x, ops.matmul(change, dictionary.decoder));
    }
    return x === flat ? activations : ops.reshape(x, activations.shape);
  };
  return { editActivations, changed };
}

/** An edit that reads its changes from the inputs of `changeName`. */
export function fedEdit(edited: EditedDictionaries): AblationEdit {
  return ablationEdit(edited, (size, { layer, features }) => ops.input(changeName(size, layer), [features]));
}

/**
 * Features [T, F] of each layer of `read`, for one window of T tokens. With `edited`, the model is ablated by the
 * inputs named by `changeName`. The features of an edited dictionary are those after the change, factor_j f_j; other
 * features of the same dictionary keep their values.
 */
export function featuresGraph(
  model: Model,
  T: number,
  read: Dictionaries,
  edited?: EditedDictionaries,
): Map<number, Node> {
  const edit = edited === undefined ? undefined : fedEdit(edited);
  const passed = forward(model, {
    shape: [1, T],
    ...(edit === undefined ? {} : { editActivations: edit.editActivations }),
  });
  const features = new Map<number, Node>();
  for (const [layer, dictionary] of read) {
    const own = (): Node => dictionary.encode(ops.reshape(activationsAt(passed, dictionary), [T, -1]));
    features.set(layer, edit?.changed.get(dictionary) ?? own());
  }
  return features;
}
