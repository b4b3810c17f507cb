/** Programs that read one window of tokens, one for each length bucket, kept while they fit in memory. */
import type { Program, StateStore } from "../engine/device.ts";
import { sizeOf, type Values } from "../engine/graph.ts";
import { type Model, plainPositions } from "../models/model.ts";
import type { LayerChanges, ResolvedAblation } from "./ablation.ts";
import { changeName, type Dictionaries, type EditedDictionaries, featuresGraph } from "./graph.ts";
import type { LensSubject } from "./subject.ts";

/** What one window is read with. */
export interface WindowRequest {
  /** Which model and dictionaries, for finding programs again. */
  readonly name: string;
  readonly model: Model;
  readonly read: Dictionaries;
  readonly edit: { readonly dictionaries: EditedDictionaries; readonly ablation: ResolvedAblation } | undefined;
  /** Token ids with what stands before every text, at most the longest bucket. */
  readonly ids: Int32Array;
}

/** Features [T, F] by layer, where T is the bucket's length and rows beyond the ids mean nothing. */
export type WindowFeatures = ReadonlyMap<number, Float32Array>;

interface Compiled {
  readonly program: Promise<Program>;
  readonly bytes: number;
}

export interface ProgramsOptions {
  /** Tokens that the longest program reads. */
  readonly window: number;
  /** What all programs may hold together; one is always kept. */
  readonly maxBytes: number;
}

/** Compiles programs as they are needed, and forgets those that were not used for longest. */
export class LensPrograms {
  readonly #subject: Pick<LensSubject, "device">;
  readonly #options: ProgramsOptions;
  /** Least recently used first. */
  readonly #compiled = new Map<string, Compiled>();

  constructor(subject: Pick<LensSubject, "device">, options: ProgramsOptions) {
    this.#subject = subject;
    this.#options = options;
  }

  /** The tokens that a program for so many reads: a power of two, or for models of which few programs fit a power of four. */
  bucketOf(tokens: number, model: Model): number {
    const { window, maxBytes } = this.#options;
    const step = 5 * bytesOf(model) <= maxBytes ? 2 : 4;
    let length = step === 2 ? 16 : 32;
    while (length < tokens) length *= step;
    return Math.min(length, window);
  }

  /** Reads one window. */
  async run(request: WindowRequest): Promise<WindowFeatures> {
    const T = this.bucketOf(request.ids.length, request.model);
    const program = await this.#programFor(request, T);
    const ids = new Int32Array(T);
    ids.set(request.ids);
    const results = await program.run({ ids, positions: plainPositions([1, T]), ...changesOf(request) });
    const features = new Map<number, Float32Array>();
    for (const layer of request.read.keys()) {
      const values = results[`${layer}`];
      if (values instanceof Float32Array) features.set(layer, values);
    }
    return features;
  }

  async dispose(): Promise<void> {
    const all = [...this.#compiled.values()];
    this.#compiled.clear();
    await Promise.allSettled(all.map(async ({ program }) => (await program).dispose()));
  }

  async #programFor(request: WindowRequest, T: number): Promise<Program> {
    const key = `${request.name} ${T}`;
    const known = this.#compiled.get(key);
    this.#compiled.delete(key);
    const compiled = known ?? { program: this.#compile(request, T), bytes: bytesOf(request.model) };
    this.#compiled.set(key, compiled);
    this.#evict();
    try {
      return await compiled.program;
    } catch (error) {
      if (this.#compiled.get(key) === compiled) this.#compiled.delete(key);
      throw error;
    }
  }

  /** The device runs what it is asked in order, so a program that is forgotten here still ends the run it was started for. */
  #evict(): void {
    let bytes = [...this.#compiled.values()].reduce((sum, compiled) => sum + compiled.bytes, 0);
    for (const [key, compiled] of this.#compiled) {
      if (bytes <= this.#options.maxBytes || this.#compiled.size === 1) return;
      this.#compiled.delete(key);
      bytes -= compiled.bytes;
      compiled.program.then((program) => program.dispose()).catch(() => undefined);
    }
  }

  #compile({ model, read, edit }: WindowRequest, T: number): Promise<Program> {
    const features = featuresGraph(model, T, read, edit?.dictionaries);
    const dictionaries = [read, edit?.dictionaries.small, edit?.dictionaries.big].flatMap((some) => [
      ...(some?.values() ?? []),
    ]);
    const stores = [...new Set<StateStore>([model.store, ...dictionaries.map(({ store }) => store)])];
    const outputs = Object.fromEntries([...features].map(([layer, node]) => [`${layer}`, node]));
    // Embeddings are looked up, not multiplied with: a copy in each program would gain nothing.
    const embeddings = new Set(model.parameters.filter(({ role }) => role === "embedding").map(({ name }) => name));
    const frozen = stores.map(({ names }) => ({ names: names.filter((name) => !embeddings.has(name)) }));
    return this.#subject.device.compile({ stores, frozen, outputs });
  }
}

function changesOf({ edit }: WindowRequest): Record<string, Values> {
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

/** What a program holds of a model: the weights of its matrix products, in the kernels' layout. */
function bytesOf({ parameters }: Model): number {
  return parameters.reduce((sum, { role, shape }) => sum + (role === "linear" ? 4 * sizeOf(shape) : 0), 0);
}
