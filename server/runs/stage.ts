import type { FileContents } from "../common/atomic-file.ts";
import { type ErrorCode, LfpError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";

/**
 * One kind of work of the pipeline: a pure function from settings, input folders and a random stream to an output
 * folder. Pure means that equal inputs give equal bytes on the same machine and device; that is what lets an output be
 * found by its key and a run go on after any cut as if nothing had happened.
 *
 * `Settings` is plain data (objects, arrays, strings, finite numbers, booleans, null). `Inputs` names the input folders.
 */
export interface Stage<Settings, Inputs extends string> {
  /** `[a-z0-9-]{1,40}`; names the output folder. */
  readonly name: string;
  /** Raised by hand with every change of the code that changes the output, so that older outputs are not taken for new. */
  readonly codeVersion: number;
  /**
   * Writes everything that it has to give into `context.output`. Throws an `LfpError` to fail with its code. After a cut
   * it is called again with an empty output folder and with `context.resumed` set.
   */
  run(context: StageContext<Settings, Inputs>): Promise<void>;
}

/** What a stage may see and do while it runs. */
export interface StageContext<Settings, Inputs extends string> {
  readonly settings: Settings;
  /** The folder (or file, for an outside input) that holds this input. Read only. */
  input(name: Inputs): string;
  /** An empty folder to write into. It takes its place in the run only when `run` has returned. */
  readonly output: string;
  /** The stage's own stream. It goes on from the checkpoint when there is one; forks of it are the stage's to save. */
  readonly random: Random;
  /** Opens the run's device; whoever opens one closes it. */
  openDevice(): Promise<Device>;
  /** The last checkpoint of a run that was cut off; `undefined` at a fresh start. */
  readonly resumed: Checkpoint | undefined;
  /** Aborted when someone asks to stop. For long waits; work in steps need only call `stepDone`. */
  readonly signal: AbortSignal;
  /**
   * Appends a line to `log.jsonl`. No clock times here: a resumed run's log equals the uncut run's byte for byte.
   * Throws `NonFiniteMetricError` for NaN and infinities: a number that may be undefined is given as null.
   */
  log(metrics: Metrics): void;
  /** Tells how far the work is; as often as one likes, it is thinned to four a second. */
  progress(done: number, total: number, unit: string): void;
  /** Tells people something. */
  message(text: string, level?: "info" | "warning"): void;
  /**
   * The boundary between two steps: to be awaited after every step of at most some seconds. Saves a checkpoint when one
   * is due; when someone asked to stop, saves one and throws `RunCancelledError`. `capture` is called only to save.
   */
  stepDone(capture: () => CheckpointContent | Promise<CheckpointContent>): Promise<void>;
}

/** One line of `log.jsonl`. */
export type Metrics = { readonly [name: string]: MetricValue };
type MetricValue =
  | number
  | string
  | boolean
  | null
  | readonly (number | string | null)[]
  | readonly { readonly [name: string]: string | undefined }[];

/** Everything a stage needs to go on from here. The random stream and the log so far are saved along. */
export interface CheckpointContent {
  /** Plain data; small. */
  readonly state: unknown;
  /** Weights, moments, buffers by name (`[A-Za-z0-9._-]+`). They are written before the stage goes on, so need no copy. */
  readonly files?: Readonly<Record<string, FileContents>>;
}

/** A checkpoint whose every byte has been verified. */
export interface Checkpoint {
  /** As it was captured; parse it with a schema. */
  readonly state: unknown;
  readonly fileNames: readonly string[];
  /** The bytes saved under this name. */
  read(name: string): Promise<Uint8Array>;
}

/** Something from outside the run: a data file, a checkpoint folder. `digest` is its content's (see `outsideInput`). */
export interface OutsideInput {
  readonly path: string;
  readonly digest: string;
}

/** A stage with its settings and inputs, ready to stand in a plan; made by `planStage`. */
export interface PlannedStage {
  /** Unique in the plan, `[a-z0-9-]{1,64}`: names the stage in log, events and report. */
  readonly id: string;
  readonly stage: { readonly name: string; readonly codeVersion: number };
  /** As key and manifest have them. */
  readonly settings: unknown;
  readonly inputs: Readonly<Record<string, PlannedStage | OutsideInput>>;
  readonly publishAs: string | undefined;
  readonly install: Install | undefined;
  /** Instead of the run's. */
  readonly seed: number | undefined;
  run(context: UntypedContext): Promise<void>;
}

/**
 * Brings what lives in the run's folder, such as a database that people also write to, in line with an output. Called whenever the output is
 * there, made or found; the second call for the same output must change nothing.
 */
export type Install = (output: string, runRoot: string, key: string) => void | Promise<void>;

/** A context before the stage's own types are put on it. */
export type UntypedContext = Omit<StageContext<unknown, string>, "settings">;

/** Someone asked to stop. */
export class RunCancelledError extends LfpError {
  readonly code: ErrorCode = "cancelled";

  constructor() {
    super("The run was asked to stop. Running it again goes on from the last checkpoint.");
  }
}

/** A metric left the finite range. */
export class NonFiniteMetricError extends LfpError {
  readonly code = "non-finite";

  constructor(stage: string, metric: string, value: number) {
    super(
      `${metric} of stage ${stage} is ${value}. The run has stopped and its last checkpoint is kept; ` +
        "a lower learning rate or other data may mend it.",
    );
  }
}

/**
 * Gives a stage its place in a plan. An input that is itself a planned stage stands for that stage's output folder and
 * makes this one wait for it.
 *
 * `publishAs` is a path in the run folder (`tuned`, `sae/base/3/512`, `.` for the run folder itself) under which the
 * output's files also appear, for people and for other tools. `keyed` stands for the settings in key and manifest: the same settings as older runs
 * laid them out, so that these keep their outputs; it must differ where the settings differ in what the output depends on. `seed` gives the stage a stream that is not the run's: of several stages of one
 * name and seed, each draws the same.
 */
export function planStage<Settings, Inputs extends string>(plan: {
  readonly id: string;
  readonly stage: Stage<Settings, Inputs>;
  readonly settings: Settings;
  readonly keyed?: unknown;
  readonly inputs: Readonly<Record<Inputs, PlannedStage | OutsideInput>>;
  readonly publishAs?: string;
  readonly install?: Install;
  readonly seed?: number;
}): PlannedStage {
  const { id, stage, settings, keyed = settings, inputs, publishAs, install, seed } = plan;
  return {
    id,
    stage,
    settings: keyed,
    inputs,
    publishAs,
    install,
    seed,
    run: (context) => stage.run({ ...context, settings }),
  };
}

/** Whether an input comes from another stage of the plan. */
export function isPlanned(input: PlannedStage | OutsideInput): input is PlannedStage {
  return "stage" in input;
}
