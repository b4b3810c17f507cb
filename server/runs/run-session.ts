import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { byCodeUnit } from "../common/order.ts";
import { hasEnded, type RunEvent, type RunEventBody, type RunState } from "../protocol/run-events.ts";
import { EventLog } from "./event-log.ts";
import { disk, type FileSystem, remove } from "./files.ts";
import { publishOutput, unpublish } from "./publish.ts";
import { type RunPaths, type RunRecord, readRecord, runPaths, sweepTemporaries, writeRecord } from "./run-folder.ts";
import { RunLog } from "./run-log.ts";
import type { PlannedStage } from "./stage.ts";
import { LOCK_SUFFIX, WORK_SUFFIX } from "./stage-folder.ts";
import type { StageOutput } from "./stage-output.ts";

/** The files of a run while a process that holds its lock works on it. */
export class RunSession {
  readonly name: string;
  readonly paths: RunPaths;
  readonly files: FileSystem;
  readonly events: EventLog;
  readonly log: RunLog;
  #record: RunRecord;
  /** Paths that earlier plans published and this one has not published again so far. */
  readonly #outdated: Set<string>;
  #currentStage: string | undefined;

  private constructor(name: string, paths: RunPaths, files: FileSystem, record: RunRecord, opened: Opened) {
    this.name = name;
    this.paths = paths;
    this.files = files;
    this.events = opened.events;
    this.log = opened.log;
    this.#record = record;
    this.#outdated = new Set(record.published);
  }

  static async open(
    folder: string,
    name: string,
    stages: readonly PlannedStage[],
    options: {
      readonly seed: number;
      readonly deviceClass: string;
      readonly versions?: Readonly<Record<string, string>>;
      readonly job?: string;
      readonly onEvent?: (event: RunEvent) => void;
      readonly files?: FileSystem;
    },
  ): Promise<RunSession> {
    const paths = runPaths(folder);
    const files = options.files ?? disk;
    await sweepTemporaries(folder, files);
    const before = await readRecord(folder);
    const { seed, deviceClass, job } = options;
    const record: RunRecord = {
      format: 1,
      name,
      state: { kind: "waiting", for: "its start" },
      seed,
      deviceClass,
      versions: versionsOf(options.versions),
      stages: stages.map(({ id, stage }) => ({
        id,
        stage: stage.name,
        codeVersion: stage.codeVersion,
        status: "todo",
      })),
      published: before?.published ?? [],
      ...(job === undefined ? {} : { job }),
      updated: "",
    };
    const events = new EventLog(paths.events, files, options.onEvent);
    try {
      const session = new RunSession(name, paths, files, record, { events, log: new RunLog(paths.log, files) });
      await session.#write({});
      return session;
    } catch (error) {
      events.close();
      throw error;
    }
  }

  /** The stage that is being looked up or computed. */
  get currentStage(): string | undefined {
    return this.#currentStage;
  }

  get versions(): Readonly<Record<string, string>> {
    return this.#record.versions;
  }

  /** Sets the run's state in `run.json` and emits an event if it has changed. */
  async setState(state: RunState, along: Partial<RunRecord> = {}): Promise<void> {
    const isNew = JSON.stringify(state) !== JSON.stringify(this.#record.state);
    await this.#write({ ...along, state });
    if (isNew) this.events.append({ kind: "state", state });
    if (hasEnded(state)) this.events.sync();
  }

  /** Makes this the current stage. */
  lookAt(id: string): void {
    this.#currentStage = id;
  }

  /** Records that a stage has started. */
  async begin(id: string, key: string): Promise<void> {
    await this.setState({ kind: "running", stage: id }, this.#withStage(id, { status: "running", key }));
  }

  /** Records a stage's output, and publishes and installs it as the plan says. */
  async settle(planned: PlannedStage, output: StageOutput, status: "reused" | "done"): Promise<void> {
    const { key, digest } = output.manifest;
    const place = planned.publishAs;
    const paths = place === undefined ? [] : await publishOutput(this.paths.root, place, output, this.files);
    for (const path of paths) this.#outdated.delete(path);
    await planned.install?.(output.folder, this.paths.root, key);
    await this.#write({
      ...this.#withStage(planned.id, { status, key, output: this.inRun(output.folder), digest }),
      published: [...new Set([...this.#record.published, ...paths])].sort(byCodeUnit),
    });
  }

  /** After the last stage: removes what earlier plans, attempts and runs that shared the stages left behind. */
  async finish(): Promise<void> {
    this.#currentStage = undefined;
    await unpublish(this.paths.root, [...this.#outdated], this.files);
    for (const name of await readdir(this.paths.stages)) {
      if (name.endsWith(WORK_SUFFIX) || name.endsWith(LOCK_SUFFIX))
        await remove(join(this.paths.stages, name), this.files);
    }
    await this.#write({ published: this.#record.published.filter((path) => !this.#outdated.has(path)) });
    this.log.finish();
  }

  emit(event: RunEventBody): void {
    this.events.append(event);
  }

  /** A warning, if it can still be written. */
  tryMessage(text: string): void {
    try {
      const stage = this.#currentStage;
      this.emit({ kind: "message", level: "warning", text, ...(stage === undefined ? {} : { stage }) });
    } catch {
      // The failure that this would have explained is reported as the outcome.
    }
  }

  /** A path relative to the run folder, with `/`, as in `run.json`. */
  inRun(path: string): string {
    return relative(this.paths.root, path).replaceAll("\\", "/");
  }

  /** Closes the files; errors are ignored, as the outcome reports write failures already. */
  close(): void {
    for (const file of [this.log, this.events]) {
      try {
        file.close();
      } catch {
        // A torn line that could not be truncated now is truncated when the file is next opened.
      }
    }
  }

  #withStage(id: string, known: Partial<RunRecord["stages"][number]>): Pick<RunRecord, "stages"> {
    return { stages: this.#record.stages.map((stage) => (stage.id === id ? { ...stage, ...known } : stage)) };
  }

  async #write(changes: Partial<RunRecord>): Promise<void> {
    this.#record = { ...this.#record, ...changes, updated: new Date().toISOString() };
    await writeRecord(this.paths.root, this.#record, this.files);
  }
}

interface Opened {
  readonly events: EventLog;
  readonly log: RunLog;
}

function versionsOf(own: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { ...own, node: process.version, platform: `${process.platform}-${process.arch}` };
}
