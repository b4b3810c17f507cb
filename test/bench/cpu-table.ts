/** What the benches of one machine's processor come to beside PyTorch's: rows with ratios and goals, and a table. */
import { z } from "zod";

/** What is timed, in the order of the table; each bench may give several figures. */
export interface BenchPart {
  /** Arguments of `lfp bench`. */
  readonly ours: readonly string[];
  /** A script of this folder with its arguments, in each of the ways of which the fastest counts. */
  readonly theirs: readonly (readonly [script: string, ...args: string[]])[];
  readonly shape: string;
  readonly figures: readonly Figure[];
  /** Libraries that do the same work by themselves; each is timed where it is installed, and skipped elsewhere. */
  readonly libraries: readonly Library[];
}

export interface Library {
  readonly name: string;
  /** The Python module without which it is skipped. */
  readonly module: string;
  readonly theirs: readonly [script: string, ...args: string[]];
}

interface Figure {
  readonly what: string;
  /** Name of the throughput in the last lines of both. */
  readonly key: string;
  readonly unit: string;
  /** Least ratio of ours to theirs. */
  readonly goal: number;
}

/** Those that are timed unless others are asked for. */
export const usualShapes = ["pythia-70m", "starter"] as const;
export const shapes = [...usualShapes, "smollm2-135m", "qwen3-0.6b"] as const;
export type BenchShape = (typeof shapes)[number];

/** The parts of a shape. `starter` is the folder of that checkpoint. */
export function partsOf(shape: BenchShape, starter: string): BenchPart[] {
  return partsAt[shape](starter);
}

const partsAt: Readonly<Record<BenchShape, (starter: string) => BenchPart[]>> = {
  // Few timed steps after the warm-up where each takes seconds.
  "pythia-70m": () => everything("pythia-70m", [], { ppo: 2, dpo: 3, sae: 8 }),
  starter: (starter) => everything("starter", ["--model", starter], { ppo: 3, dpo: 5, sae: 32 }),
  "smollm2-135m": () => [engine("smollm2-135m"), sampling("smollm2-135m")],
  // Its gradients do not fit into the CPU device's 4 GiB.
  "qwen3-0.6b": () => [forwardOnly("qwen3-0.6b"), sampling("qwen3-0.6b")],
};

function everything(
  shape: BenchShape,
  model: readonly string[],
  counts: Record<"ppo" | "dpo" | "sae", number>,
): BenchPart[] {
  const steps = (what: "ppo" | "dpo" | "sae") => ["--steps", `${counts[what]}`] as const;
  const sae = ["--shape", shape, ...steps("sae")] as const;
  return [
    engine(shape),
    {
      shape,
      ours: ["ppo", "--model", shape, ...steps("ppo")],
      theirs: [["pytorch_ppo.py", ...model, ...steps("ppo")]],
      figures: [figure("ppo", "episodesPerSecond", "episodes/s")],
      // TRL 1.16 has no PPO any more.
      libraries: [],
    },
    {
      shape,
      ours: ["dpo", "--model", shape, ...steps("dpo")],
      theirs: [["pytorch_dpo.py", ...model, ...steps("dpo")]],
      figures: [figure("dpo", "pairsPerSecond", "pairs/s")],
      libraries: [{ name: "TRL", module: "trl", theirs: ["trl_dpo.py", ...model, ...steps("dpo")] }],
    },
    {
      shape,
      ours: ["sae", ...sae],
      theirs: [
        ["pytorch_sae.py", ...sae],
        ["pytorch_sae.py", ...sae, "--compile"],
      ],
      figures: [figure("sae", "tokensPerSecond", "tokens/s")],
      libraries: [{ name: "SAELens", module: "sae_lens", theirs: ["saelens_train.py", ...sae] }],
    },
    sampling(shape),
  ];
}

function engine(shape: BenchShape): BenchPart {
  return {
    shape,
    ours: ["engine", "--shape", shape],
    theirs: [
      ["pytorch_engine.py", "--shape", shape],
      ["pytorch_engine.py", "--shape", shape, "--compile"],
    ],
    figures: [figure("train", "trainTokensPerSecond", "tokens/s"), forwardFigure],
    libraries: [],
  };
}

/** The engine's part where nothing is trained. */
function forwardOnly(shape: BenchShape): BenchPart {
  const { ours, theirs, ...part } = engine(shape);
  return {
    ...part,
    ours: [...ours, "--forward-only"],
    theirs: theirs.map(([script, ...args]) => [script, ...args, "--forward-only"]),
    figures: [forwardFigure],
  };
}

function sampling(shape: BenchShape): BenchPart {
  return {
    shape,
    ours: ["generate", "--shape", shape],
    theirs: [["pytorch_generate.py", "--shape", shape]],
    figures: [figure("sampling", "newTokensPerSecond", "tokens/s", 1.8)],
    libraries: [],
  };
}

function figure(what: string, key: string, unit: string, goal = 1.1): Figure {
  return { what, key, unit, goal };
}

const forwardFigure = figure("forward", "forwardTokensPerSecond", "tokens/s", 1);

/** The last line of a bench, ours or theirs, as far as it matters here. */
export const BenchLine = z.looseObject({
  peakRssMB: z.number(),
  /** Ours: "ok", or what is wrong with the numbers. */
  check: z.string().optional(),
  /** Theirs: how PyTorch did the work. */
  fusedAdamW: z.boolean().optional(),
  fusedAdam: z.boolean().optional(),
  attention: z.string().optional(),
  compiled: z.boolean().optional(),
  version: z.string().optional(),
});
export type BenchLine = z.infer<typeof BenchLine>;

/** One figure: medians of the runs of each. */
export interface CpuRow {
  /** Such as "dpo", or "dpo (TRL)" beside that library. */
  readonly what: string;
  readonly shape: string;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  readonly ratio: number;
  readonly goal: number;
  readonly oursPeakMB: number;
  readonly theirsPeakMB: number;
  /** Ours over theirs; the goal is at most `memoryGoal`. */
  readonly memoryRatio: number;
  /** How PyTorch did it, such as "fused AdamW, sdpa, eager". */
  readonly pytorch: string;
}

/** Most that our peak memory may be of PyTorch's. */
export const memoryGoal = 1.2;

/**
 * The rows of a part from all of its runs, beside PyTorch or one of the part's libraries. Throws `TypeError` for a part without a
 * run of each side, or without a figure.
 */
export function rowsOf(
  part: BenchPart,
  ours: readonly BenchLine[],
  theirs: readonly BenchLine[],
  library?: Library,
): CpuRow[] {
  const [first] = theirs;
  if (first === undefined) throw new TypeError("a part without a run of PyTorch");
  const peak = (lines: readonly BenchLine[]): number => median(lines.map(({ peakRssMB }) => peakRssMB));
  const [oursPeakMB, theirsPeakMB] = [peak(ours), peak(theirs)];
  return part.figures.map(({ what, key, unit, goal }) => {
    const [own, other] = [
      median(ours.map((line) => numberOf(line, key))),
      median(theirs.map((line) => numberOf(line, key))),
    ];
    return {
      what: library === undefined ? what : `${what} (${library.name})`,
      shape: part.shape,
      unit,
      ours: own,
      theirs: other,
      ratio: own / other,
      goal,
      oursPeakMB,
      theirsPeakMB,
      memoryRatio: oursPeakMB / theirsPeakMB,
      pytorch: library === undefined ? wayOf(first) : `${library.name} ${first.version}: ${wayOf(first)}`,
    };
  });
}

/** Index of the way whose first figure is the largest; ways without a line do not count. */
export function fastestOf({ figures }: BenchPart, lines: readonly (BenchLine | undefined)[]): number {
  const key = figures[0]?.key ?? "";
  const speeds = lines.map((line) => (line === undefined ? -1 : numberOf(line, key)));
  return speeds.indexOf(Math.max(...speeds));
}

/** All rows as Markdown, with each goal's verdict. */
export function cpuTable(rows: readonly CpuRow[], processor: string): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    `### ${processor}`,
    "",
    line(["", "shape", "lfp", "PyTorch", "ratio", "goal", "peak MB", "PyTorch's", "ratio", "PyTorch's way"]),
    line(["---", "---", "---:", "---:", "---:", "---", "---:", "---:", "---", "---"]),
    ...rows.map((row) =>
      line([
        `${row.what}, ${row.unit}`,
        row.shape,
        short(row.ours),
        short(row.theirs),
        row.ratio.toFixed(2),
        `${row.goal}: ${verdict(row.ratio >= row.goal)}`,
        short(row.oursPeakMB),
        short(row.theirsPeakMB),
        `${row.memoryRatio.toFixed(2)}: ${verdict(row.memoryRatio <= memoryGoal)}`,
        row.pytorch,
      ]),
    ),
  ].join("\n");
}

function wayOf({ fusedAdamW, fusedAdam, attention, compiled = false }: BenchLine): string {
  const optimizer = fusedAdamW === undefined ? [] : [fusedAdamW ? "fused AdamW" : "default AdamW"];
  return [
    ...optimizer,
    ...(fusedAdam === true ? ["fused Adam"] : []),
    ...(attention === undefined ? [] : [attention]),
    compiled ? "torch.compile" : "eager",
  ].join(", ");
}

function numberOf(line: BenchLine, key: string): number {
  const value = line[key];
  if (typeof value !== "number")
    throw new TypeError(`a bench's line has no number '${key}'; got ${JSON.stringify(line)}`);
  return value;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new TypeError("a part without a run has no median");
  return (low + high) / 2;
}

function verdict(isMet: boolean): string {
  return isMet ? "met" : "missed";
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
