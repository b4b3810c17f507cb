/**
 * The only source of randomness: xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it/), seeded through
 * splitmix32. Its whole state is four integers, saved with every checkpoint, so that a resumed run draws what the
 * uninterrupted run would have drawn.
 */
export class Random {
  readonly #state: Uint32Array;

  private constructor(state: Uint32Array) {
    this.#state = state;
  }

  /** A generator from any integer seed; equal seeds give equal streams on every machine. */
  static fromSeed(seed: number): Random {
    let mixed = seed >>> 0;
    const state = new Uint32Array(4).map(() => {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let z = mixed;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    });
    return new Random(state);
  }

  /** Continues from a saved state. */
  static fromState(state: RandomState): Random {
    return new Random(Uint32Array.from(state));
  }

  /** The state to save; `fromState` continues exactly here. */
  get state(): RandomState {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state;
    return [a, b, c, d];
  }

  /** An independent generator for a named purpose; the parent's stream is unchanged. */
  fork(purpose: string): Random {
    let hash = 0x811c9dc5;
    for (const char of `${purpose}:${this.state.join(",")}`)
      hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
    return Random.fromSeed(hash >>> 0);
  }

  /** 32 random bits. */
  uint32(): number {
    const s = this.#state;
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = s;
    const product = Math.imul(s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const c = s2 ^ s0;
    const d = s3 ^ s1;
    s[1] = s1 ^ c;
    s[0] = s0 ^ d;
    s[2] = c ^ (s1 << 9);
    s[3] = (d << 11) | (d >>> 21);
    return result;
  }

  /** A number in [0, 1) with 53 random bits. */
  uniform(): number {
    return ((this.uint32() >>> 5) * 0x4000000 + (this.uint32() >>> 6)) / 0x20000000000000;
  }

  /** An integer in [0, bound), without bias. */
  integer(bound: number): number {
    const limit = 0x100000000 - (0x100000000 % bound);
    let drawn = this.uint32();
    while (drawn >= limit) drawn = this.uint32();
    return drawn % bound;
  }

  /**
   * A standard normal number (Box and Muller; the second of each pair is dropped, so that the state says everything).
   */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A shuffled copy (Fisher and Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const picked = result[j] as T;
      result[j] = result[i] as T;
      result[i] = picked;
    }
    return result;
  }
}

/** The complete state of a `Random`. */
export type RandomState = readonly [number, number, number, number];
