import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { LfpError } from "../common/errors.ts";
import { tryJson } from "../common/json.ts";
import { visibleLine } from "../common/untrusted-text.ts";
import { errnoOf, textIfThere, unlessMissing } from "./files.ts";
import { describeProcess, livenessOf, ProcessIdentity, thisProcess } from "./process-identity.ts";

/** Who holds a lock. */
export const LockHolder = z.object({
  process: ProcessIdentity,
  /** Purpose, for people: `run imdb-quick`. */
  purpose: z.string(),
  /** Name of the executor's job that the process is of, if it is of one. */
  job: z.string().optional(),
  /** ISO 8601. */
  since: z.string(),
});
export type LockHolder = z.infer<typeof LockHolder>;

/** A holder that is alive, or may be. */
export interface LivingHolder extends LockHolder {
  /**
   * When it counts as dead, in Unix milliseconds by the file server's clock, unless it gives another sign of life; absent
   * where its process is seen from here.
   */
  readonly deadAtMs?: number;
}

/** Another process holds the requested lock. */
export class LockedError extends LfpError {
  readonly code = "locked";
  readonly holder: LivingHolder;

  constructor(what: string, holder: LivingHolder) {
    super(
      `${what} is held by ${describeHolder(holder)}.${describeSilence(holder)} Wait for it, or stop it with \`lfp cancel\`, then run this again.`,
    );
    this.holder = holder;
  }
}

/** A lock's folder holds a number that no lock of ours wrote. */
export class LockFolderError extends LfpError {
  readonly code = "input";

  constructor(folder: string, name: string) {
    super(
      `${folder} holds ${visibleLine(JSON.stringify(name), 60)}, and no lock has such a number: remove it and run this again.`,
    );
  }
}

/** The lock that this process held was taken over while it could not be reached. */
export class LockLostError extends LfpError {
  readonly code = "locked";

  constructor(folder: string) {
    super(`The lock ${folder} was taken over by another process while this one gave no sign of life; it stops here.`);
  }
}

/**
 * At most one living process holds a lock folder.
 *
 * Each holding is a folder with the next higher number, created by a rename, which fails when the number is taken. The
 * creator of the highest number holds the lock. The highest number is never removed, only emptied of its `holder.json`
 * on release, so numbers are never reused: a process that loses the race to take over from a dead holder finds either
 * its number taken or a higher one present, and never removes another's.
 *
 * A holder is dead when its process is gone. Where we cannot check (another machine on a shared disk), it is dead when
 * its heartbeat, a file rewritten every ten seconds, has been silent for five minutes by the file server's own clock.
 */
export class Lock {
  readonly #folder: string;
  readonly #number: number;
  readonly #lost = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  #lastBeat = Promise.resolve();

  private constructor(folder: string, number: number) {
    this.#folder = folder;
    this.#number = number;
    this.#heartbeat = setInterval(() => {
      this.#lastBeat = this.#beat();
    }, HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /**
   * Acquires the lock, also from a dead holder. Throws `LockedError` when a living process holds it; `what` names the
   * lock in that error, `job` the executor's job that this process is of.
   */
  static async acquire(folder: string, what: string, purpose: string, job?: string): Promise<Lock> {
    await mkdir(folder, { recursive: true });
    const since = new Date().toISOString();
    const holder: LockHolder = { process: await thisProcess(), purpose, since, ...(job === undefined ? {} : { job }) };
    const aside = join(folder, `.${randomUUID()}`);
    try {
      for (;;) {
        const highest = await highestNumber(folder);
        const living = await livingHolder(folder, highest, () => fileServerNowMs(aside, holder), job);
        if (living !== undefined) throw new LockedError(what, living);
        await prepare(aside, holder);
        const number = highest + 1;
        if (!(await renameUnlessTaken(aside, join(folder, String(number))))) continue;
        if ((await highestNumber(folder)) === number) {
          await removeSuperseded(folder, number);
          return new Lock(folder, number);
        }
        await sweep(join(folder, String(number)));
      }
    } finally {
      await sweep(aside);
    }
  }

  /** Aborted, with a `LockLostError`, when another process has taken the lock over. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Gives the lock back. Needs no disk space. */
  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#lastBeat;
    await unlessMissing(unlink(join(this.#folder, String(this.#number), HOLDER)));
  }

  async #beat(): Promise<void> {
    // A full disk is no reason to stop: on this machine the process itself is the sign of life.
    await writeFile(join(this.#folder, String(this.#number), HEARTBEAT), "beat").catch(() => undefined);
    const highest = await highestNumber(this.#folder).catch(() => this.#number);
    if (highest !== this.#number) this.#lost.abort(new LockLostError(this.#folder));
  }
}

/** The living holder of a lock folder; `undefined` when it is free. */
export async function lockHolder(folder: string): Promise<LivingHolder | undefined> {
  if ((await unlessMissing(stat(folder))) === undefined) return undefined;
  for (;;) {
    const number = await highestNumber(folder);
    const holder = await livingHolder(folder, number, Date.now);
    if (holder !== undefined || (await highestNumber(folder)) === number) return holder;
  }
}

/**
 * Whether a signal was aborted because another process took the lock over; nothing more may be written to the folder.
 */
export function isLockLost(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof LockLostError;
}

/** For people: `process 4711 on lab-3 (run imdb-quick, since 2026-01-01T10:00:00.000Z)`. */
export function describeHolder(holder: LockHolder): string {
  return `${describeProcess(holder.process)} (${holder.purpose}, since ${holder.since})`;
}

/** For people, a sentence after a blank: when a holder that is not seen from here counts as dead; empty for one that is. */
export function describeSilence({ process: { host }, deadAtMs }: LivingHolder): string {
  if (deadAtMs === undefined) return "";
  const at = new Date(deadAtMs).toISOString();
  return ` Whether that process is alive cannot be seen from here: it counts as dead at ${at}, unless ${host} gives another sign of it.`;
}

const HOLDER = "holder.json";
const HEARTBEAT = "heartbeat";
const HEARTBEAT_MS = 10_000;
/** Longer than network file systems cache and than a machine's short sleep. */
const SILENT_ELSEWHERE_MS = 300_000;
/** A machine of the same name after a reboot: almost always the same one, so the wait is short. */
const SILENT_OTHER_BOOT_MS = 30_000;

async function prepare(aside: string, holder: LockHolder): Promise<void> {
  for (;;) {
    await mkdir(aside, { recursive: true });
    const write = (name: string, text: string) =>
      unlessMissing(writeFile(join(aside, name), text).then(() => "written"));
    // Missing when the winner of the race took us for dead and removed the folder.
    if ((await write(HOLDER, JSON.stringify(holder))) && (await write(HEARTBEAT, "beat"))) return;
  }
}

/**
 * The holder of this number if it is alive; calls `now` only where we cannot check the process. A cluster starts a job
 * again only once it has given up the one before, so that a holder of the same `job` is almost always dead.
 */
async function livingHolder(
  folder: string,
  number: number,
  now: () => number | Promise<number>,
  job?: string,
): Promise<LivingHolder | undefined> {
  const text = await textIfThere(join(folder, String(number), HOLDER), "record");
  if (text === undefined) return undefined;
  const holder = parseHolder(text);
  // Truncated by a power loss, which its process did not survive.
  if (holder === undefined) return undefined;
  const liveness = await livenessOf(holder.process);
  if (liveness === "alive") return holder;
  if (liveness === "gone") return undefined;
  const isOwn = job !== undefined && holder.job === job;
  const limitMs = liveness === "elsewhere" && !isOwn ? SILENT_ELSEWHERE_MS : SILENT_OTHER_BOOT_MS;
  const beat = await unlessMissing(stat(join(folder, String(number), HEARTBEAT)));
  if (beat === undefined || (await now()) - beat.mtimeMs >= limitMs) return undefined;
  return { ...holder, deadAtMs: beat.mtimeMs + limitMs };
}

/**
 * The file server's current time: the modification time of a file written just now, as its clock may differ from ours.
 */
async function fileServerNowMs(aside: string, holder: LockHolder): Promise<number> {
  await prepare(aside, holder);
  const written = await unlessMissing(stat(join(aside, HEARTBEAT)));
  return written?.mtimeMs ?? Date.now();
}

function parseHolder(text: string): LockHolder | undefined {
  return LockHolder.safeParse(tryJson(text)).data;
}

async function highestNumber(folder: string): Promise<number> {
  return (await numbersIn(folder)).reduce((highest, number) => Math.max(highest, number), 0);
}

async function numbersIn(folder: string): Promise<number[]> {
  const numbers = (await readdir(folder)).filter((name) => /^\d+$/.test(name));
  // Above it, two names parse to the same number, and the next number is not representable.
  const strange = numbers.find((name) => Number(name) > Number.MAX_SAFE_INTEGER - 1);
  if (strange !== undefined) throw new LockFolderError(folder, strange);
  return numbers.map(Number);
}

/** Whether the rename succeeded; false when the name is taken or another process has removed `from`. */
async function renameUnlessTaken(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? "";
    if (["ENOTEMPTY", "EEXIST", "ENOENT"].includes(errno)) return false;
    // Windows's errors when the name is taken.
    if (["EPERM", "EACCES"].includes(errno) && (await unlessMissing(stat(to))) !== undefined) return false;
    throw error;
  }
}

/** Removes lower numbers, and the temporary folders of processes that died while acquiring. */
async function removeSuperseded(folder: string, number: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (name.startsWith(".") ? await isOld(path) : Number(name) < number) await sweep(path);
  }
}

async function isOld(path: string): Promise<boolean> {
  const found = await unlessMissing(stat(path));
  return found !== undefined && Date.now() - found.mtimeMs > SILENT_OTHER_BOOT_MS;
}

/** Removes a leftover, best effort: leftovers do no harm, and two processes may remove the same one. */
async function sweep(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined);
}
