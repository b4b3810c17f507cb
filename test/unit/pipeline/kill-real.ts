/**
 * kill -9 at random moments of a small run of the real pipeline: `node test/unit/pipeline/kill-real.ts [CUTS=50] [SEED=1] [RUN=quick]`, where
 * RUN is one of `tinyRuns`. Two of three cuts come at a call that changes the disk, half of these with half of the bytes written, so inside
 * saves; the others at a random time. Two more cuts come in the second half of every stage that takes long enough to save, and such a stage must go on from a
 * checkpoint. Each cut run is then run again to its end, and must have the bytes of the uncut one: weights, features, log, report.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { Random } from "../../../server/common/random.ts";
import { lastingFiles } from "../runs/lasting-files.ts";
import { scratchRoot } from "../runs/scratch-root.ts";
import { isTinyRun, pairLines, type TinyRunName, tinyRuns } from "./tiny-runs.ts";

/** What a run said at its end. */
const endSchema = z.object({
  outcome: z.object({ kind: z.string() }),
  messages: z.array(z.string()),
  resumed: z.array(z.string()),
  calls: z.int(),
  /** By stage: calls so far when it began and ended. */
  stages: z.record(z.string(), z.object({ from: z.int(), to: z.int() })),
});
type End = z.output<typeof endSchema>;

export interface Cut {
  /** Where the run was killed, in words. */
  readonly where: string;
  /** Whether the run was over before it could be killed. */
  readonly late: boolean;
  /** Stages that went on from a checkpoint afterwards. */
  readonly resumed: readonly string[];
  /** What differs from the uncut run, or went wrong; none should. */
  readonly faults: readonly string[];
}

/** What is cut, and how often. */
export interface Cuts {
  readonly run: TinyRunName;
  /** At random moments. */
  readonly random: number;
  readonly seed: number;
  /** One more cut in each of these stages; in a stage that is named twice, two. */
  readonly inStages: readonly string[];
}

/** Cuts runs, two at a time, and runs each to its end; `onCut` is told of each. */
export async function killRealRuns(
  { run, random: cuts, seed, inStages }: Cuts,
  onCut: (cut: Cut) => void = () => undefined,
): Promise<Cut[]> {
  const root = await mkdtemp(join(scratchRoot, "lfp-kill-"));
  const place = { root, run };
  try {
    await writeFile(join(root, "pairs.jsonl"), pairLines);
    const startMs = performance.now();
    const uncut = await whole(place, folderIn(root, "uncut"));
    const runMs = performance.now() - startMs;
    const expected = await lastingFiles(folderIn(root, "uncut"));
    const random = Random.fromSeed(seed);
    const queue = [...momentsOf(cuts, random, uncut.calls, runMs), ...momentsIn(inStages, uncut.stages, random)];
    const results: Cut[] = [];
    const worker = async (): Promise<void> => {
      for (let moment = queue.shift(); moment !== undefined; moment = queue.shift()) {
        const folder = folderIn(root, `cut-${queue.length}`);
        const result = await cutAndResume(place, folder, moment, expected);
        await rm(folder, { recursive: true });
        onCut(result);
        results.push(result);
      }
    };
    await Promise.all([worker(), worker()]);
    return results;
  } finally {
    await rm(root, { recursive: true });
  }
}

/** When a run is killed: at a call that changes the disk, or some time after it began. */
type Moment = {
  readonly where: string;
  /** A stage that has checkpoints by then. */
  readonly stage?: string;
} & ({ readonly killAt: number; readonly half: boolean } | { readonly afterMs: number });

function momentsOf(cuts: number, random: Random, calls: number, runMs: number): Moment[] {
  return Array.from({ length: cuts }, (_, index) => {
    if (index % 3 === 2) {
      const afterMs = random.uniform() * runMs;
      return { where: `after ${Math.round(afterMs)} of ${Math.round(runMs)} ms`, afterMs };
    }
    const killAt = 1 + random.integer(calls - 1);
    const half = random.uniform() < 0.5;
    return { where: `${half ? "half-way through" : "before"} call ${killAt} of ${calls}`, killAt, half };
  });
}

/** In the second half of the calls of each stage. */
function momentsIn(inStages: readonly string[], stages: End["stages"], random: Random): Moment[] {
  return inStages.map((stage) => {
    const { from, to } = stages[stage] ?? { from: 0, to: 0 };
    if (to - from < 2) throw new Error(`stage ${stage} did nothing in the uncut run`);
    const half = Math.floor((to - from) / 2);
    const killAt = from + half + 1 + random.integer(Math.max(1, half - lastCalls));
    return { where: `in ${stage} before call ${killAt} (of ${from} to ${to})`, stage, killAt, half: false };
  });
}

/** Calls at a stage's end that put its output in place. */
const lastCalls = 12;

interface Place {
  /** Of all runs, with what they read. */
  readonly root: string;
  readonly run: TinyRunName;
}

async function cutAndResume(
  place: Place,
  folder: string,
  moment: Moment,
  expected: ReadonlyMap<string, string>,
): Promise<Cut> {
  const late =
    "killAt" in moment
      ? await killedByItself(start(place, folder, { killAt: moment.killAt, half: moment.half }))
      : await killedAfter(start(place, folder, {}), moment.afterMs);
  const { outcome, messages, resumed } = await whole(place, folder);
  const differing = differences(expected, await lastingFiles(folder));
  const ended = outcome.kind === "done" ? [] : [`the resumed run ended ${outcome.kind}`];
  const { stage } = moment;
  const lost =
    stage === undefined || resumed.some((one) => one.startsWith(`${stage} from`)) ? [] : [`${stage} began anew`];
  return { where: moment.where, late, resumed, faults: [...messages, ...differing, ...ended, ...lost] };
}

/** The folder's name is the run's, which the report holds. */
function folderIn(root: string, name: string): string {
  return join(root, name, "tiny");
}

function start({ root, run }: Place, folder: string, options: object): ChildProcess {
  const program = fileURLToPath(new URL("real-run.ts", import.meta.url));
  const env = { NODE_COMPILE_CACHE: join(root, "compile-cache"), ...process.env, LFP_STATE_DIR: join(root, "state") };
  const args = [program, folder, JSON.stringify({ run, ...options })];
  return spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"], env });
}

/** Runs to the end and gives what it said. */
async function whole(place: Place, folder: string): Promise<End> {
  const child = start(place, folder, {});
  const [said] = await Promise.all([child.stdout === null ? "" : text(child.stdout), once(child, "exit")]);
  const last = said.trim().split("\n").at(-1) ?? "";
  return endSchema.parse(JSON.parse(last));
}

async function killedByItself(child: ChildProcess): Promise<boolean> {
  child.stdout?.resume();
  const [, signal]: unknown[] = await once(child, "exit");
  return signal !== "SIGKILL";
}

async function killedAfter(child: ChildProcess, afterMs: number): Promise<boolean> {
  const exit = once(child, "exit");
  if (child.stdout) await once(child.stdout, "data");
  child.stdout?.resume();
  await Promise.race([delay(afterMs), exit]);
  child.kill("SIGKILL");
  const [, signal]: unknown[] = await exit;
  return signal !== "SIGKILL";
}

function differences(expected: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
  const paths = [...new Set([...expected.keys(), ...found.keys()])];
  return paths.filter((path) => expected.get(path) !== found.get(path)).map((path) => `${path} differs`);
}

if (import.meta.main) {
  const [cuts = "50", seed = "1", run = "quick"] = process.argv.slice(2);
  if (!isTinyRun(run)) throw new Error(`RUN must be one of ${Object.keys(tinyRuns).join(", ")}, not ${run}`);
  const { longStages } = tinyRuns[run];
  let faulty = 0;
  const results = await killRealRuns(
    { run, random: Number(cuts), seed: Number(seed), inStages: [...longStages, ...longStages] },
    ({ where, late, resumed, faults }) => {
      if (faults.length > 0) faulty += 1;
      const after = late ? "was over already" : resumed.length === 0 ? "no checkpoint yet" : resumed.join(", ");
      console.log(
        `${faults.length === 0 ? "ok  " : "FAIL"} ${where}: ${after}${faults.map((fault) => `\n     ${fault}`).join("")}`,
      );
    },
  );
  const killed = results.filter(({ late }) => !late).length;
  console.log(`${killed} of ${results.length} runs were killed; ${faulty} did not end as the uncut run`);
  process.exitCode = faulty === 0 ? 0 : 1;
}
