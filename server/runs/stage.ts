import type { FileContents } from "../common/atomic-file.ts";
import { type ErrorCode, LfpError } from "../common/errors.ts";
import type { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";

/**
 * One kind of work of the pipeline: a pure function from settings, input folders and a random stream to an output
 * folder. Pure means that equal inputs give equal bytes on the same machine and device; therefore an output can be
 * found by its key, and a run can resume after any interruption with the same result.
 *
 * `Settings` is plain data (objects, arrays, strings, finite numbers, booleans, null). `Inputs` names the input
 * folders.
 */
export interface Stage<Settings, Inputs extends string> {
  /** `[a-z0-9-]{1,40}`; names the output folder. */
  readonly name: string;
  /** Incremented by hand with every code change that changes the output, so that older outputs are not reused. */
  readonly codeVersion: number;
  /**
   * Writes all its results into `context.output`. Throws an `LfpError` to fail with its code. After an interruption it
   * is called again with an empty output folder and with `context.resumed` set.
   */
  run(context: StageContext<Settings, Inputs>): Promise<void>;
}

/** What a stage may see and do while it runs. */
export interface StageContext<Settings, Inputs extends string> {
  readonly settings: Settings;
  /** The folder (or file, for an outside input) that holds this input. Read only. */
  input(name: Inputs): string;
  /** An empty folder to write into. It moves to its place in the run only after `run` has returned. */
  readonly output: string;
  /**
   * The stage's own stream, restored from the checkpoint when there is one. The stage saves the state of any forks
   * itself.
   */
  readonly random: Random;
  /** Opens the run's device; the caller closes it. */
  openDevice(): Promise<Device>;
  /**
   * Opens the run's device as up to `most` that compute side by side: a CPU's share its threads, as small models gain
   * little from a second thread; a GPU is one. The caller closes them.
   */
  openDevices(most: number): Promise<readonly Device[]>;
  /** The last checkpoint of an interrupted run; `undefined` at a fresh start. */
  readonly resumed: Checkpoint | undefined;
  /** Aborted when someone asks the run to stop. For long waits; work in steps need only call `stepDone`. */
  readonly signal: AbortSignal;
  /**
   * Appends a line to `log.jsonl`. No clock times here: a resumed run's log equals the uncut run's byte for byte.
   * Throws `NonFiniteMetricError` for NaN and infinities: a number that may be undefined is given as null.
   */
  log(metrics: Metrics): void;
  /** Reports progress. May be called as often as one likes: events are throttled to four a second. */
  progress(done: number, total: number, unit: string): void;
  /** Emits a message for people. */
  message(text: string, level?: "info" | "warning"): void;
  /**
   * The boundary between two steps: await it after every step, of at most some seconds. Saves a checkpoint when one is
   * due; after a cancel request, saves one and throws `RunCancelledError`. Calls `capture` only to save.
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

/** Everything a stage needs to resume from here. The random stream and the log so far are saved with it. */
export interface CheckpointContent {
  /** Plain data; small. */
  readonly state: unknown;
  /**
   * Weights, moments, buffers by name (`[A-Za-z0-9._-]+`). They are written before the stage goes on, so need not be
   * copied.
   */
  readonly files?: Readonly<Record<string, FileContents>>;
}

/** A checkpoint whose every byte has been verified. */
export interface Checkpoint {
  /** As captured; parse it with a schema. */
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
  /** The settings that the key and the manifest contain. */
  readonly settings: unknown;
  readonly inputs: Readonly<Record<string, PlannedStage | OutsideInput>>;
  readonly publishAs: string | undefined;
  readonly install: Install | undefined;
  /** Overrides the run's seed. */
  readonly seed: number | undefined;
  run(context: UntypedContext): Promise<void>;
}

/**
 * Updates state in the run's folder, such as a database that people also write to, to match an output. Called whenever
 * the output is available, computed or reused; must be idempotent for the same output.
 */
export type Install = (output: string, runRoot: string, key: string) => void | Promise<void>;

/** A context without the stage's own types. */
export type UntypedContext = Omit<StageContext<unknown, string>, "settings">;

/** The run stopped because someone asked it to. */
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
 * Adds settings and inputs to a stage, for a plan. An input that is itself a planned stage stands for that stage's
 * output folder and is a dependency.
 *
 * `publishAs` is a path in the run folder (`tuned`, `sae/base/3/512`, `.` for the run folder itself) under which the
 * output's files also appear, for people and for other tools. `keyed` replaces the settings in the key and the
 * manifest: the same settings in the layout of older runs, so that their outputs stay valid; it must differ wherever
 * the settings differ in what the output depends on. `seed` gives the stage its own stream instead of the run's;
 * without it, stages of the same name draw the same numbers.
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
