/** Caches compiled programs by key while they fit in memory. */
import { sizeOf } from "../engine/graph.ts";
import { headNameOf, type Model } from "../models/model.ts";

interface Disposable {
  dispose(): Promise<void>;
}

interface Compiled<P> {
  readonly program: Promise<P>;
  readonly bytes: number;
  /** Number of uses in progress. */
  running: number;
  /** Evicted from the table; freed when the last use ends. */
  forgotten: boolean;
}

/** How to compile a missing program, and the bytes that it holds. */
export interface ProgramRecipe<P> {
  readonly key: string;
  readonly bytes: number;
  readonly compile: () => Promise<P>;
}

/** Compiles programs on demand, and evicts the least recently used ones. */
export class ProgramCache<P extends Disposable> {
  readonly #maxBytes: number;
  /** Least recently used first. */
  readonly #compiled = new Map<string, Compiled<P>>();

  /** `maxBytes`: upper bound on all programs together; one is always kept. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Passes the program to `work`, and does not free it until that ends. */
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

/** Frees an evicted program unless it is running. */
function free<P extends Disposable>({ program, running }: Compiled<P>): void {
  if (running === 0) program.then((compiled) => compiled.dispose()).catch(() => undefined);
}

/**
 * Bytes of a model's weights that a frozen program copies: those of its matrix products, in the kernels' layout.
 * Includes the head if the program computes logits, not if it reads hidden states alone.
 */
export function heldBytes({ config, parameters }: Model, computed: "logits" | "states"): number {
  const head = headNameOf(config);
  const products = parameters.filter(
    // The second of two models has a prefix before its names.
    ({ name, role }) => role === "linear" && (computed === "logits" || !name.endsWith(head)),
  );
  return products.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
}

/** What programs copy of the weights. */
export interface WeightCopies {
  readonly frozen: boolean;
  /** Bytes of one program's copies. */
  readonly bytes: number;
  /** Number of programs whose copies fit in memory. */
  readonly fitting: number;
}

/**
 * Whether programs copy weights of `held` bytes: if that is wanted and they fit. Otherwise the programs do without: they
 * are slower, but are not evicted and recompiled again and again.
 */
export function weightCopies(
  held: number,
  { copiesWeights, maxBytes }: { readonly copiesWeights: boolean; readonly maxBytes: number },
): WeightCopies {
  return copiesWeights && held <= maxBytes
    ? { frozen: true, bytes: held, fitting: maxBytes / held }
    : { frozen: false, bytes: 0, fitting: Number.POSITIVE_INFINITY };
}

export interface BucketOptions {
  /** Number of tokens of the longest program. */
  readonly window: number;
  /** Number of tokens before every text. */
  readonly before: number;
  /** Number of programs that fit in memory. */
  readonly fitting: number;
}

/**
 * Length of the program for the given number of tokens, both including the prefix of `before` tokens. Lengths after
 * the prefix are powers of two; also 1.5 times these if at least 10 programs fit in memory; powers of four if fewer
 * than 5 do. At most `window`.
 */
export function bucketOf(tokens: number, { window, before, fitting }: BucketOptions): number {
  let length = 16;
  while (before + length < tokens)
    length = fitting >= 10 && before + 1.5 * length >= tokens ? 1.5 * length : (fitting >= 5 ? 2 : 4) * length;
  return Math.min(before + length, window);
}
