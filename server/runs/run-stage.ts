import { hostname } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { InternalError, invariant } from "../common/errors.ts";
import { Random } from "../common/random.ts";
import { readWholeFile } from "../common/text-file.ts";
import type { Device } from "../engine/device.ts";
import { CheckpointStore, type StoredCheckpoint } from "./checkpoint.ts";
import { moveDurably, remove } from "./files.ts";
import { ProgressMeter } from "./progress.ts";
import type { RunPaths } from "./run-folder.ts";
import { isLockLost } from "./run-lock.ts";
import type { RunSession } from "./run-session.ts";
import { isPlanned, type PlannedStage, RunCancelledError, type UntypedContext } from "./stage.ts";
import { outputUnderWay, stageFolderName, WORK_SUFFIX } from "./stage-folder.ts";
import { stageKey } from "./stage-key.ts";
import { commitOutput, OUTPUT_LOG, type OutputManifest, openOutput, type StageOutput } from "./stage-output.ts";

/**
 * Whether a checkpoint is due, given the time since the last one and how long that one took to save, in milliseconds.
 */
export type CheckpointPolicy = (sinceLastMs: number, lastSaveMs: number) => boolean;

/**
 * Every 10 to 45 s, so that saving takes at most 2 % of the time if a save takes under a second. After saves of more
 * than 2 s (hundreds of megabytes) the interval grows, up to 10 minutes, so that saving takes at most 5 % of the time.
 */
export const checkpointDue: CheckpointPolicy = (sinceLastMs, lastSaveMs) => {
  const usualMs = Math.min(45_000, Math.max(10_000, 50 * lastSaveMs));
  return sinceLastMs >= Math.max(usualMs, Math.min(600_000, 20 * lastSaveMs));
};

/** A planned stage whose inputs all exist. */
export interface Task {
  readonly planned: PlannedStage;
  readonly identity: Omit<OutputManifest, "format" | "files" | "digest">;
  readonly inputPaths: Readonly<Record<string, string>>;
  /** Folder of the finished output. */
  readonly output: string;
  /** Working folder until then. */
  readonly work: string;
}

export interface StageOptions {
  /** Seed of stages without their own. */
  readonly seed: number;
  readonly deviceClass: string;
  readonly openDevice: () => Promise<Device>;
  readonly openDevices: (most: number) => Promise<readonly Device[]>;
  readonly signal: AbortSignal;
  readonly checkpointDue: CheckpointPolicy;
}

/** Derives a stage's key and folders from the outputs of the stages before it. */
export function makeTask(
  planned: PlannedStage,
  outputs: ReadonlyMap<PlannedStage, StageOutput>,
  session: { readonly paths: Pick<RunPaths, "stages">; readonly versions: Readonly<Record<string, string>> },
  { seed: runSeed, deviceClass }: Pick<StageOptions, "seed" | "deviceClass">,
): Task {
  const inputs: OutputManifest["inputs"] = {};
  const inputPaths: Record<string, string> = {};
  for (const [name, input] of Object.entries(planned.inputs)) {
    if (isPlanned(input)) {
      const output = outputs.get(input);
      invariant(output !== undefined, `stage ${planned.id} comes before its input ${input.id}.`);
      const { stage, key, digest } = output.manifest;
      inputs[name] = { stage, key, digest };
      inputPaths[name] = output.folder;
    } else {
      inputs[name] = { path: input.path, digest: input.digest };
      inputPaths[name] = input.path;
    }
  }
  const { settings, stage, seed = runSeed } = planned;
  const made = { stage: stage.name, codeVersion: stage.codeVersion, settings, seed, deviceClass };
  const digests = Object.fromEntries(Object.entries(inputs).map(([name, { digest }]) => [name, digest]));
  const key = stageKey({ ...made, inputs: digests });
  const output = join(session.paths.stages, stageFolderName(stage.name, key));
  const identity = { ...made, key, inputs, versions: { ...session.versions } };
  return { planned, identity, inputPaths, output, work: `${output}${WORK_SUFFIX}` };
}

/** Finds an existing output that verifies; moves a damaged one aside, with a message, and returns `undefined`. */
export async function findOutput(
  task: Task,
  session: RunSession,
  check: "fast" | "full",
): Promise<StageOutput | undefined> {
  const { planned, identity, output: folder } = task;
  const { key } = identity;
  const found = await openOutput(folder, key, check);
  if (typeof found === "string") {
    const aside = `${folder}.damaged`;
    const text = `The output of stage ${planned.id} is damaged (${found}); it is made again, and the damaged one kept in ${session.inRun(aside)}.`;
    session.emit({ kind: "message", level: "warning", text, stage: planned.id });
    await remove(aside, session.files);
    await moveDurably(folder, aside, session.files);
    return undefined;
  }
  if (found === undefined) return undefined;
  session.log.place(await readWholeFile(join(folder, OUTPUT_LOG), "stage output"));
  session.emit({ kind: "stage-reused", stage: planned.id, key });
  return found;
}

/** Runs the stage, from its last checkpoint if there is one, and puts its output in place. */
export async function makeOutput(task: Task, session: RunSession, options: StageOptions): Promise<StageOutput> {
  const { planned, identity, work } = task;
  const { id } = planned;
  const { key } = identity;
  const startedAt = new Date().toISOString();
  const store = new CheckpointStore(join(work, "checkpoints"), key, session.files);
  const stored = await store.load((text) => {
    session.emit({ kind: "message", level: "warning", text, stage: id });
  });
  await session.begin(id, key);
  session.log.begin(stored?.log ?? new Uint8Array());
  session.emit(
    stored === undefined
      ? { kind: "stage-started", stage: id, key }
      : { kind: "stage-resumed", stage: id, key, generation: stored.generation },
  );
  const from = outputUnderWay(work);
  await remove(from, session.files);
  await session.files.mkdir(from);

  const attempt = new Attempt(task, session, options, store, stored);
  await planned.run(attempt.context(from));
  if (isLockLost(options.signal)) throw options.signal.reason;

  const workedMs = attempt.workedMs();
  const receipt = { startedAt, finishedAt: new Date().toISOString(), workedMs, host: hostname() };
  const log = session.log.segment();
  const output = await commitOutput({ from, to: task.output, identity, log, receipt, files: session.files });
  session.log.end();
  session.emit({ kind: "stage-finished", stage: id, key, workedMs });
  await remove(work, session.files);
  return output;
}

/** One attempt at a stage: the implementation of the context that the stage receives. */
class Attempt {
  readonly #task: Task;
  readonly #session: RunSession;
  readonly #options: StageOptions;
  readonly #store: CheckpointStore;
  readonly #stored: StoredCheckpoint | undefined;
  readonly #random: Random;
  readonly #startMs = performance.now();
  #savedAtMs = performance.now();
  #lastSaveMs = 0;
  #yieldedAtMs = performance.now();

  constructor(
    task: Task,
    session: RunSession,
    options: StageOptions,
    store: CheckpointStore,
    stored: StoredCheckpoint | undefined,
  ) {
    this.#task = task;
    this.#session = session;
    this.#options = options;
    this.#store = store;
    this.#stored = stored;
    this.#random =
      stored === undefined
        ? Random.fromSeed(task.identity.seed).fork(task.identity.stage)
        : Random.fromState(stored.random);
  }

  /** Time worked on the stage, over all attempts. */
  workedMs(): number {
    return (this.#stored?.workedMs ?? 0) + performance.now() - this.#startMs;
  }

  context(output: string): UntypedContext {
    const session = this.#session;
    const { planned, inputPaths } = this.#task;
    const stage = planned.id;
    const meter = new ProgressMeter(stage, (event) => session.emit(event));
    return {
      output,
      random: this.#random,
      resumed: this.#stored?.checkpoint,
      signal: this.#options.signal,
      openDevice: this.#options.openDevice,
      openDevices: this.#options.openDevices,
      input: (name) => {
        const path = inputPaths[name];
        if (path === undefined) throw new InternalError(`stage ${stage} has no input ${name}.`);
        return path;
      },
      log: (metrics) => session.log.append(stage, metrics),
      progress: (done, total, unit) => meter.tell(done, total, unit),
      message: (text, level = "info") => session.emit({ kind: "message", level, text, stage }),
      stepDone: (capture) => this.#stepDone(capture),
    };
  }

  async #stepDone(capture: Parameters<UntypedContext["stepDone"]>[0]): Promise<void> {
    await this.#letOthersRun();
    const { signal } = this.#options;
    const isStopping = signal.aborted;
    if (isLockLost(signal)) throw signal.reason;
    if (isStopping || this.#options.checkpointDue(performance.now() - this.#savedAtMs, this.#lastSaveMs)) {
      const startMs = performance.now();
      const content = await capture();
      const log = this.#session.log.segment();
      await this.#store.save({ content, log, random: this.#random.state, workedMs: this.workedMs() });
      this.#savedAtMs = performance.now();
      this.#lastSaveMs = this.#savedAtMs - startMs;
    }
    if (isStopping) throw new RunCancelledError();
  }

  /** Yields to the event loop: a stage that never waits would block signals, the heartbeat and cancel requests. */
  async #letOthersRun(): Promise<void> {
    if (performance.now() - this.#yieldedAtMs < YIELD_AFTER_MS) return;
    await nextTurn();
    this.#yieldedAtMs = performance.now();
  }
}

const YIELD_AFTER_MS = 20;
