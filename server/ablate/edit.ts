/**
 * Ablation as an edit of the activations at dictionaries' sites, in graphs. Letters: N tokens, D width, F features of a dictionary.
 *
 * With features f of the activations x, decoder rows d, factors k and levels t, x becomes
 *
 *     x' = x - Σ_j (1 - k_j) (f_j - t_j) d_j
 *
 * so only the chosen features' contributions change: k = 0 with t = 0 removes them, another k steers by them, and t
 * = the mean sets them to their mean. The part of x that the dictionary does not explain stays. The control
 * `reconstruction` is x' = x̂ instead.
 */
import type { Device, StateStore } from "../engine/device.ts";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import type { ActivationEdit } from "../models/architecture.ts";
import type { LayerSite } from "../models/sites.ts";

/** A dictionary of one site on the device, in the form that graphs are built from. */
export interface AblatedDictionary extends LayerSite {
  /** Identifies the dictionary. */
  readonly name: string;
  /** F */
  readonly features: number;
  readonly store: StateStore;
  /** [N, D] -> [N, F] */
  encode(activations: Node): Node;
  /** [F, D] */
  readonly decoder: Node;
  /** [D] */
  readonly decoderBias: Node;
}

/** The change of one dictionary's features. */
export interface DictionaryChange {
  /** 1 - k of each feature, [F]; 0 leaves it unchanged. */
  readonly strength: Float32Array;
  /** t of each feature, [F]. */
  readonly level: Float32Array;
  /** Whether the reconstruction replaces the activations. */
  readonly reconstruct: boolean;
}

/**
 * The edit as device stores: programs compiled with `activations` read it from there, so that one program serves every
 * condition.
 */
export class AblationEdit {
  readonly #dictionaries: readonly AblatedDictionary[];
  readonly #controls: StateStore;

  private constructor(dictionaries: readonly AblatedDictionary[], controls: StateStore) {
    this.#dictionaries = dictionaries;
    this.#controls = controls;
  }

  /** Creates an edit that changes nothing until `set`. */
  static async create(device: Device, dictionaries: readonly AblatedDictionary[]): Promise<AblationEdit> {
    const controls = await device.createState(
      dictionaries.flatMap(({ name, features }) => [
        { name: scaleName(name), shape: [1, features], values: undefined },
        { name: offsetName(name), shape: [1, features], values: undefined },
        { name: gateName(name), shape: [1, 1], values: undefined },
      ]),
    );
    return new AblationEdit(dictionaries, controls);
  }

  /** Stores of weights that never change. */
  get frozenStores(): readonly StateStore[] {
    return this.#dictionaries.map(({ store }) => store);
  }

  /** Stores that `set` writes to. */
  get liveStores(): readonly StateStore[] {
    return [this.#controls];
  }

  /**
   * Sets the changes by the dictionaries' names; unnamed dictionaries change nothing. Takes effect in later program
   * runs.
   */
  async set(changes: ReadonlyMap<string, DictionaryChange>): Promise<void> {
    for (const { name, features } of this.#dictionaries) {
      const change = changes.get(name);
      const none = (): Float32Array => new Float32Array(features);
      await this.#controls.write(scaleName(name), change === undefined ? none() : scaleOf(change));
      await this.#controls.write(offsetName(name), change === undefined ? none() : offsetOf(change));
      await this.#controls.write(gateName(name), Float32Array.of(Number(change?.reconstruct ?? false)));
    }
  }

  /** The hook for `forward`; bound, so that it can be passed as a function. */
  readonly activations: ActivationEdit = (place, x) => {
    const own = this.#dictionaries.filter(({ layer, site }) => layer === place.layer && site === place.site);
    if (own.length === 0) return x;
    const flat = ops.reshape(x, [-1, x.shape.at(-1) ?? 0]);
    return ops.reshape(own.reduce(changedBy, flat), x.shape);
  };

  async dispose(): Promise<void> {
    await this.#controls.dispose();
  }
}

/** Both changes by one product: x (1 - g) + g b - (f (s - g) - s t) W, with strengths s = 1 - k, the gate g and x̂ = f W + b. */
function changedBy(x: Node, { name, features, encode, decoder, decoderBias }: AblatedDictionary): Node {
  const scale = ops.state(scaleName(name), [1, features]);
  const offset = ops.state(offsetName(name), [1, features]);
  const gate = ops.state(gateName(name), [1, 1]);
  const removed = ops.matmul(ops.sub(ops.mul(encode(x), scale), offset), decoder);
  const kept = ops.add(ops.mul(x, ops.affine(gate, -1, 1)), ops.mul(gate, decoderBias));
  return ops.sub(kept, removed);
}

/** s - g of each feature, [F]. */
function scaleOf({ strength, reconstruct }: DictionaryChange): Float32Array {
  return strength.map((value) => value - Number(reconstruct));
}

/** s t of each feature, [F]. */
function offsetOf({ strength, level }: DictionaryChange): Float32Array {
  return strength.map((value, feature) => value * (level[feature] ?? 0));
}

const scaleName = (name: string): string => `ablate.${name}.scale`;
const offsetName = (name: string): string => `ablate.${name}.offset`;
const gateName = (name: string): string => `ablate.${name}.reconstruct`;
