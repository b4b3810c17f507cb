/**
 * What grows how: pieces of work with one size doubled at a time, and the arithmetic that each has by its formula. Letters: N tokens, T
 * tokens of context, L layers, W width, F features of a layer, V tokens of the vocabulary.
 */

/** The sizes that are doubled. */
export const dimensions = ["tokens", "layers", "width", "features", "context"] as const;
export type Dimension = (typeof dimensions)[number];
export type Sizes = Readonly<Record<Dimension, number>>;

export const works = ["train", "sae", "read"] as const;
export type WorkName = (typeof works)[number];

/** Tokens of the starter's vocabulary, which all models here have. */
export const V = 4096;
/** Share of the features that are active at a token. */
export const activeShare = 0.19;
/** Layers that the lens reads at most. */
export const mostRead = 5;

interface Work {
  readonly about: string;
  readonly base: Sizes;
  /** Sizes that change its arithmetic. */
  readonly doubled: readonly Dimension[];
  /** Floating-point operations of its products. */
  readonly flops: (sizes: Sizes) => number;
}

/** Of a forward pass without the head: per token and layer 12 W² weights, and T places that attention scores and adds up. */
function forwardFlops(N: number, { layers: L, width: W, context: T }: Sizes): number {
  return N * L * (2 * 12 * W * W + 2 * 2 * T * W);
}

export const workTable: { readonly [K in WorkName]: Work } = {
  train: {
    about: "a training step: forward, backward, AdamW",
    base: { tokens: 512, layers: 4, width: 256, features: 0, context: 128 },
    doubled: ["tokens", "layers", "width", "context"],
    flops: (sizes) => 3 * (forwardFlops(sizes.tokens, sizes) + 2 * sizes.tokens * sizes.width * V),
  },
  sae: {
    about: "autoencoders on two layers of a model, trained on so many tokens",
    base: { tokens: 8192, layers: 2, width: 256, features: 512, context: 128 },
    doubled: ["tokens", "width", "features", "context"],
    // Two products forward and three backward, into each of two autoencoders.
    flops: (sizes) => forwardFlops(sizes.tokens, sizes) + 2 * sizes.tokens * 5 * 2 * sizes.width * sizes.features,
  },
  read: {
    about: "a passage of the lens: features of at most five layers, the probe, its familiarity",
    base: { tokens: 127, layers: 4, width: 256, features: 512, context: 128 },
    doubled: ["tokens", "layers", "width", "features"],
    flops: (sizes) => {
      const { tokens: N, layers: L, width: W, features: F } = sizes;
      const read = Math.min(L, mostRead);
      // The familiarity multiplies every two active features of a token.
      return forwardFlops(N, { ...sizes, context: N + 1 }) + N * read * 2 * W * F + N * (activeShare * read * F) ** 2;
    },
  },
};

/** Figures of one piece of work in a process of its own. */
export interface Figures {
  readonly seconds: number;
  /** Of all threads. */
  readonly cpuSeconds: number;
  /** Peak above that of a process with an idle device. */
  readonly megabytes: number;
}

/** One size multiplied by `times`; ratios are to the piece of work without. */
export interface GrowthRow {
  readonly work: WorkName;
  readonly dimension: Dimension;
  readonly from: number;
  readonly times: number;
  readonly arithmetic: number;
  readonly time: number;
  readonly cpuTime: number;
  readonly memory: number;
  readonly megabytes: number;
  readonly growsFaster: readonly ("time" | "memory")[];
}

/** What a measured ratio may be above that of the arithmetic: times of a busy machine vary by as much. */
export const tolerance = 1.25;

export function sizesOf(work: WorkName, dimension: Dimension, times: number): Sizes {
  const { base } = workTable[work];
  return { ...base, [dimension]: base[dimension] * times };
}

/** Judges CPU time, as wall time on a shared machine says little. */
export function rowOf(
  work: WorkName,
  { dimension, times }: { readonly dimension: Dimension; readonly times: number },
  base: Figures,
  grown: Figures,
): GrowthRow {
  const { flops, base: sizes } = workTable[work];
  const arithmetic = flops(sizesOf(work, dimension, times)) / flops(sizes);
  const cpuTime = grown.cpuSeconds / base.cpuSeconds;
  const memory = grown.megabytes / base.megabytes;
  const ratios = { time: cpuTime, memory };
  return {
    work,
    dimension,
    from: sizes[dimension],
    times,
    arithmetic,
    time: grown.seconds / base.seconds,
    cpuTime,
    memory,
    megabytes: grown.megabytes,
    growsFaster: (["time", "memory"] as const).filter((what) => ratios[what] > tolerance * arithmetic),
  };
}

/** All rows as Markdown. */
export function growthTable(rows: readonly GrowthRow[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(["work", "size", "times", "arithmetic", "CPU time", "time", "memory", "MB", "grows faster"]),
    line(["---", "---", "---:", "---:", "---:", "---:", "---:", "---:", "---"]),
    ...rows.map((row) =>
      line([
        row.work,
        `${row.from} ${row.dimension}`,
        `${row.times}`,
        row.arithmetic.toFixed(2),
        row.cpuTime.toFixed(2),
        row.time.toFixed(2),
        row.memory.toFixed(2),
        row.megabytes.toFixed(0),
        row.growsFaster.join(", ") || "no",
      ]),
    ),
  ].join("\n");
}
