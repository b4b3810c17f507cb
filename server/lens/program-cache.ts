/** Compiled programs by key, kept while they fit in memory. */
import { sizeOf } from "../engine/graph.ts";
import { headNameOf, type Model } from "../models/model.ts";

interface Disposable {
  dispose(): Promise<void>;
}

interface Compiled<P> {
  readonly program: Promise<P>;
  readonly bytes: number;
  /** Uses that were begun and have not ended. */
  running: number;
  /** No longer in the table; freed when the last use ends. */
  forgotten: boolean;
}

/** How to make a program that is not there, and what it holds of weights. */
export interface ProgramRecipe<P> {
  readonly key: string;
  readonly bytes: number;
  readonly compile: () => Promise<P>;
}

/** Makes programs as they are needed, and forgets those that were not used for longest. */
export class ProgramCache<P extends Disposable> {
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #compiled = new Map<string, Compiled<P>>();

  /** `maxBytes`: what all programs may hold together; one is always kept. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Gives the program to `work`, and keeps it whole until that ends. */
  async use<T>(recipe: ProgramRecipe<P>, work: (program: P) => Promise<T>): Promise<T> {
    const compiled = this.#compiledFor(recipe);
    compiled.running += 1;
    try {
      return await work(await compiled.program);
    } finally {
      compiled.running -= 1;
      if (compiled.forgotten) free(compiled);
    }
  }

  async dispose(): Promise<void> {
    const all = [...this.#compiled.values()];
    this.#compiled.clear();
    await Promise.allSettled(all.map(async ({ program }) => (await program).dispose()));
  }

  #compiledFor({ key, bytes, compile }: ProgramRecipe<P>): Compiled<P> {
    const known = this.#compiled.get(key);
    this.#compiled.delete(key);
    const compiled = known ?? { program: compile(), bytes, running: 0, forgotten: false };
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
      if (bytes <= this.#maxBytes || this.#compiled.size === 1) return;
      this.#compiled.delete(key);
      bytes -= compiled.bytes;
      compiled.forgotten = true;
      free(compiled);
    }
  }
}

/** Frees a forgotten program unless it runs. */
function free<P extends Disposable>({ program, running }: Compiled<P>): void {
  if (running === 0) program.then((compiled) => compiled.dispose()).catch(() => undefined);
}

/**
 * Bytes that a program holds of a model, frozen: the weights of its matrix products in the kernels' layout. Those of the head count where the program
 * works out logits, and not where it reads hidden states alone.
 */
export function heldBytes({ config, parameters }: Model, computed: "logits" | "states"): number {
  const head = headNameOf(config);
  const products = parameters.filter(
    // A model beside another has a prefix before its names.
    ({ name, role }) => role === "linear" && (computed === "logits" || !name.endsWith(head)),
  );
  return products.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
}

export interface BucketOptions {
  /** Tokens that the longest program reads. */
  readonly window: number;
  /** Tokens that stand before every text. */
  readonly before: number;
  /** How many programs fit in memory. */
  readonly fitting: number;
}

/**
 * The tokens that the program for so many reads, what stands before every text included. Texts of 16, 32, 64 ... tokens fit exactly; where many
 * programs fit into memory there are lengths halfway between too, and where few do only every second one.
 */
export function bucketOf(tokens: number, { window, before, fitting }: BucketOptions): number {
  let length = 16;
  while (before + length < tokens)
    length = fitting >= 10 && before + 1.5 * length >= tokens ? 1.5 * length : (fitting >= 5 ? 2 : 4) * length;
  return Math.min(before + length, window);
}
