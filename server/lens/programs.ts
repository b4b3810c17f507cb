/** Programs that read one window of tokens, one for each length bucket, kept while they fit in memory. */
import type { Program, StateStore } from "../engine/device.ts";
import { sizeOf, type Values } from "../engine/graph.ts";
import { headNameOf, type Model, plainPositions } from "../models/model.ts";
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
  /** Runs that were begun and have not ended. */
  running: number;
  /** No longer in the table; freed when the last run ends. */
  forgotten: boolean;
}

export interface ProgramsOptions {
  /** Tokens that the longest program reads. */
  readonly window: number;
  /** Tokens that stand before every text. */
  readonly before: number;
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

  /**
   * The tokens that the program for so many reads, what stands before every text included. Texts of 16, 32, 64 ... tokens fit exactly; where many
   * programs fit into memory there are lengths halfway between too, and where few do only every second one.
   */
  bucketOf(tokens: number, model: Model): number {
    const { window, before, maxBytes } = this.#options;
    const fitting = maxBytes / bytesOf(model);
    let length = 16;
    while (before + length < tokens)
      length = fitting >= 10 && before + 1.5 * length >= tokens ? 1.5 * length : (fitting >= 5 ? 2 : 4) * length;
    return Math.min(before + length, window);
  }

  /** Reads one window. */
  async run(request: WindowRequest): Promise<WindowFeatures> {
    const T = this.bucketOf(request.ids.length, request.model);
    const ids = new Int32Array(T);
    ids.set(request.ids);
    const inputs = { ids, positions: plainPositions([1, T]), ...changesOf(request) };
    const compiled = this.#compiledFor(request, T);
    compiled.running += 1;
    let results: Readonly<Record<string, Values>>;
    try {
      results = await (await compiled.program).run(inputs);
    } finally {
      compiled.running -= 1;
      if (compiled.forgotten) free(compiled);
    }
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

  #compiledFor(request: WindowRequest, T: number): Compiled {
    const key = `${request.name} ${T}`;
    const known = this.#compiled.get(key);
    this.#compiled.delete(key);
    const compiled = known ?? {
      program: this.#compile(request, T),
      bytes: bytesOf(request.model),
      running: 0,
      forgotten: false,
    };
    this.#compiled.set(key, compiled);
    compiled.program.catch(() => {
      if (this.#compiled.get(key) === compiled) this.#compiled.delete(key);
    });
    this.#evict();
    return compiled;
  }

  #evict(): void {
    let bytes = [...this.#compiled.values()].reduce((sum, compiled) => sum + compiled.bytes, 0);
    for (const [key, compiled] of this.#compiled) {
      if (bytes <= this.#options.maxBytes || this.#compiled.size === 1) return;
      this.#compiled.delete(key);
      bytes -= compiled.bytes;
      compiled.forgotten = true;
      free(compiled);
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

/** Frees a forgotten program unless it runs. */
function free({ program, running }: Compiled): void {
  if (running === 0) program.then((compiled) => compiled.dispose()).catch(() => undefined);
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

/** What a program holds of a model: the weights of its matrix products, in the kernels' layout. The lens computes no logits. */
function bytesOf({ config, parameters }: Model): number {
  const head = headNameOf(config);
  const products = parameters.filter(({ name, role }) => role === "linear" && name !== head);
  return products.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
}
