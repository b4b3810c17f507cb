import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { tryJson } from "../common/json.ts";
import { readTextFile } from "../common/text-file.ts";
import { sha256Of } from "../runs/files.ts";
import { isSameProcess, livenessOf, ProcessIdentity, thisProcess } from "../runs/process-identity.ts";
import { QuarantinedError } from "./failures.ts";

/**
 * Remembers across crashes what the server was working on, and refuses it the third time. Before native code works on
 * an input, its digest is written to a file; a server that finds such a file of a dead process counts a crash of that
 * input.
 *
 * Only one input is processed at a time, so that the blame falls on the right one.
 */
export class Quarantine {
  readonly #folder: string;
  readonly #ready: Promise<void>;
  readonly #crashes = new Map<string, number>();
  /** Digests of inputs that succeeded once; the same computation will not crash now. */
  readonly #proven = new Set<string>();
  #own: { readonly path: string; readonly process: ProcessIdentity } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #clearing: NodeJS.Timeout | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    // Without a usable state folder this protection is lost, but the work continues.
    this.#ready = this.#open().catch(() => undefined);
  }

  /**
   * Runs work that could crash the process. `parts` identify the input permanently: the same parts are the same input.
   * `what` is for people. Throws `QuarantinedError` if this input has crashed the server twice.
   */
  async guard<T>(what: string, parts: readonly string[], work: () => Promise<T>): Promise<T> {
    await this.#ready;
    const key = sha256Of(parts.join("\0"));
    const crashes = this.#crashes.get(key) ?? 0;
    if (crashes >= TOLERATED_CRASHES)
      throw new QuarantinedError(
        `${what} has brought the analysis server down ${crashes} times and is not looked at again until it changes.`,
      );
    if (this.#proven.has(key)) return work();
    const done = this.#turn.then(() => this.#watched(key, work));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Clears the mark, for an orderly end of the process. */
  close(): void {
    clearTimeout(this.#clearing);
    this.#mark(undefined);
    if (this.#own !== undefined) rmSync(this.#own.path, { force: true });
    this.#own = undefined;
  }

  async #watched<T>(key: string, work: () => Promise<T>): Promise<T> {
    clearTimeout(this.#clearing);
    this.#mark(key);
    try {
      const result = await work();
      if (this.#proven.size >= MAX_PROVEN) this.#proven.clear();
      this.#proven.add(key);
      this.#mark(undefined);
      return result;
    } catch (error) {
      // Cancelled work may still be running in the device's thread.
      this.#clearing = setTimeout(() => this.#mark(undefined), CANCELLED_LASTS_MS);
      this.#clearing.unref();
      throw error;
    }
  }

  /** Writes the mark synchronously, so that it exists before the work begins. It need not survive a power cut. */
  #mark(key: string | undefined): void {
    if (this.#own === undefined) return;
    try {
      writeFileSync(this.#own.path, JSON.stringify({ process: this.#own.process, key: key ?? null }));
    } catch {
      this.#own = undefined;
    }
  }

  async #open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    const process = await thisProcess();
    for (const [key, count] of await readCrashes(this.#folder)) this.#crashes.set(key, count);
    if (await this.#countFallen(process)) await this.#save();
    this.#own = { path: join(this.#folder, `${UNDER_WAY}${process.pid}.json`), process };
  }

  /** Counts the crashes that dead servers left behind. The first server to rename a file counts it. */
  async #countFallen(here: ProcessIdentity): Promise<boolean> {
    let found = false;
    for (const name of await readdir(this.#folder)) {
      if (!name.startsWith(UNDER_WAY)) continue;
      const path = join(this.#folder, name);
      const left = UnderWay.safeParse(tryJson(await readTextFile(path, "record").catch(() => "null"))).data;
      if (left !== undefined && !(isSameProcess(left.process, here) || (await livenessOf(left.process)) === "gone"))
        continue;
      const taken = join(this.#folder, `taken-${here.pid}-${name}`);
      try {
        renameSync(path, taken);
      } catch {
        continue;
      }
      await rm(taken, { force: true });
      if (left?.key === null || left?.key === undefined) continue;
      this.#crashes.set(left.key, (this.#crashes.get(left.key) ?? 0) + 1);
      found = true;
    }
    return found;
  }

  async #save(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    const newest = [...this.#crashes].slice(-MAX_CRASHES_KEPT);
    await writeFileAtomically(join(this.#folder, CRASHES), `${JSON.stringify(newest)}\n`);
  }
}

const TOLERATED_CRASHES = 2;
const UNDER_WAY = "under-way-";
const CRASHES = "crashes.json";
const MAX_CRASHES_KEPT = 1000;
const MAX_PROVEN = 100_000;
const CANCELLED_LASTS_MS = 500;

const UnderWay = z.object({ process: ProcessIdentity, key: z.string().nullable() });
const Crashes = z.array(z.tuple([z.string(), z.int().positive()]));

async function readCrashes(folder: string): Promise<[string, number][]> {
  return Crashes.safeParse(tryJson(await readTextFile(join(folder, CRASHES), "record").catch(() => "[]"))).data ?? [];
}
