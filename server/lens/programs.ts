/** Programs that read the features of one window of tokens, one for each length bucket. */
import type { Program, StateStore } from "../engine/device.ts";
import type { Values } from "../engine/graph.ts";
import { type Model, plainPositions } from "../models/model.ts";
import type { LayerChanges, ResolvedAblation } from "./ablation.ts";
import { changeName, type Dictionaries, type EditedDictionaries, featuresGraph } from "./graph.ts";
import { bucketOf, heldBytes, ProgramCache, weightCopies } from "./program-cache.ts";
import type { LensSubject } from "./subject.ts";

/** An ablation inside the forward pass, with the dictionaries that it changes. */
export interface WindowEdit {
  readonly dictionaries: EditedDictionaries;
  readonly ablation: ResolvedAblation;
}

/** Input of the read of one window. */
export interface WindowRequest {
  /** Names model and dictionaries, for the cache of programs. */
  readonly name: string;
  readonly model: Model;
  readonly read: Dictionaries;
  readonly edit: WindowEdit | undefined;
  /** Token ids including the prefix, at most the longest bucket. */
  readonly ids: Int32Array;
}

/** Features [T, F] by layer, where T is the bucket's length; rows beyond the ids are meaningless. */
export type WindowFeatures = ReadonlyMap<number, Float32Array>;

export interface ProgramsOptions {
  /** Number of tokens of the longest program. */
  readonly window: number;
  /** Number of tokens before every text. */
  readonly before: number;
  /** Upper bound on all programs together; one is always kept. */
  readonly maxBytes: number;
  /** Whether programs copy the weights into a faster layout, where the copies fit. */
  readonly copiesWeights: boolean;
}

/** Compiles programs on demand, and evicts the least recently used ones. */
export class LensPrograms {
  readonly #subject: Pick<LensSubject, "device">;
  readonly #options: ProgramsOptions;
  readonly #compiled: ProgramCache<Program>;

  constructor(subject: Pick<LensSubject, "device">, options: ProgramsOptions) {
    this.#subject = subject;
    this.#options = options;
    this.#compiled = new ProgramCache(options.maxBytes);
  }

  /** Length of the program for the given number of tokens; see `bucketOf`. */
  bucketOf(tokens: number, model: Model): number {
    return bucketOf(tokens, { ...this.#options, ...weightCopies(heldBytes(model, "states"), this.#options) });
  }

  /** Reads one window. */
  async run(request: WindowRequest): Promise<WindowFeatures> {
    const T = this.bucketOf(request.ids.length, request.model);
    const ids = new Int32Array(T);
    ids.set(request.ids);
    const inputs = { ids, positions: plainPositions([1, T]), ...changesOf(request.edit) };
    const copies = weightCopies(heldBytes(request.model, "states"), this.#options);
    const recipe = {
      key: `${request.name} ${T}`,
      bytes: copies.bytes + bytesOfFeatures(T, request.read),
      compile: () => this.#compile(request, T, copies.frozen),
    };
    const results = await this.#compiled.use(recipe, (program) => program.run(inputs));
    const features = new Map<number, Float32Array>();
    for (const layer of request.read.keys()) {
      const values = results[`${layer}`];
      if (values instanceof Float32Array) features.set(layer, values);
    }
    return features;
  }

  dispose(): Promise<void> {
    return this.#compiled.dispose();
  }

  #compile({ model, read, edit }: WindowRequest, T: number, isFrozen: boolean): Promise<Program> {
    const features = featuresGraph(model, T, read, edit?.dictionaries);
    const dictionaries = [read, edit?.dictionaries.small, edit?.dictionaries.big].flatMap((some) => [
      ...(some?.values() ?? []),
    ]);
    const stores = [...new Set<StateStore>([model.store, ...dictionaries.map(({ store }) => store)])];
    const outputs = Object.fromEntries([...features].map(([layer, node]) => [`${layer}`, node]));
    // Embeddings are looked up, not multiplied: a copy in each program would gain nothing.
    const embeddings = new Set(model.parameters.filter(({ role }) => role === "embedding").map(({ name }) => name));
    const frozen = isFrozen
      ? stores.map(({ names }) => ({ names: names.filter((name) => !embeddings.has(name)) }))
      : [];
    return this.#subject.device.compile({ stores, frozen, outputs });
  }
}

/** Bytes of the features that a program keeps between its runs. */
function bytesOfFeatures(T: number, read: Dictionaries): number {
  return 4 * T * [...read.values()].reduce((sum, { features }) => sum + features, 0);
}

/** Values for the inputs of an edit. */
export function changesOf(edit: WindowEdit | undefined): Record<string, Values> {
  if (edit === undefined) return {};
  const inputs: Record<string, Values> = {};
  const add = (size: "small" | "big", changes: LayerChanges): void => {
    for (const [layer, { features }] of edit.dictionaries[size])
      inputs[changeName(size, layer)] = changes.get(layer) ?? new Float32Array(features);
  };
  add("small", edit.ablation.small);
  add("big", edit.ablation.big);
  return inputs;
}
