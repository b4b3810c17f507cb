import { randomUUID } from "node:crypto";
import { mkdir, readdir, rm, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { tryJson } from "../common/json.ts";
import { byCodeUnit } from "../common/order.ts";
import { stateFolder } from "../common/state-folder.ts";
import { textIfThere, unlessMissing } from "./files.ts";
import { FolderWatch } from "./folder-watch.ts";
import { describeProcess, livenessOf, ProcessIdentity, thisProcess } from "./process-identity.ts";
import { describeHolder, Lock, LockedError } from "./run-lock.ts";
import { RunCancelledError } from "./stage.ts";

/**
 * One training job at a time per machine and user: waits for its turn, first come first served, and returns the lock
 * that the job holds while it trains. Calls `onWait` with a description of the holder or waiter ahead, once per change.
 * Throws `RunCancelledError` when `signal` is aborted while it waits.
 */
export async function takeTurn(turn: {
  /** Purpose, for people: `run imdb-quick`. */
  readonly purpose: string;
  readonly signal: AbortSignal;
  readonly onWait: (forWhom: string) => void | Promise<void>;
  readonly stateFolder?: string;
}): Promise<Lock> {
  // Many machines may share one home folder.
  const queue = join(turn.stateFolder ?? stateFolder(), "queue", hostname().replace(/[^A-Za-z0-9.-]/g, "_"));
  await mkdir(queue, { recursive: true });
  const ticket = await drawTicket(queue, turn.purpose);
  const watch = new FolderWatch(queue);
  try {
    let reported = "";
    for (;;) {
      if (turn.signal.aborted) throw new RunCancelledError();
      const taken = await tryToTake(queue, ticket, turn.purpose);
      if (taken instanceof Lock) return taken;
      if (taken !== reported) await turn.onWait(taken);
      reported = taken;
      await watch.next(POLL_MS, turn.signal);
    }
  } finally {
    watch.close();
    await unlessMissing(unlink(join(queue, ticket)));
  }
}

const POLL_MS = 500;
/**
 * The lock that decides. It is beside the tickets, which only keep the order, so that one watch sees a change of
 * either.
 */
const LOCK = "turn";
const Ticket = ProcessIdentity.extend({ purpose: z.string() });

async function tryToTake(queue: string, ticket: string, purpose: string): Promise<Lock | string> {
  const ahead = await firstLiving(queue, ticket);
  try {
    if (ahead === undefined) return await Lock.acquire(join(queue, LOCK), "this machine's turn to train", purpose);
  } catch (error) {
    if (error instanceof LockedError) return describeHolder(error.holder);
    throw error;
  }
  return ahead;
}

/** Tickets sort by the time they were drawn. */
async function drawTicket(queue: string, purpose: string): Promise<string> {
  const name = `${String(Date.now()).padStart(15, "0")}-${randomUUID()}.json`;
  await writeFile(join(queue, name), JSON.stringify({ ...(await thisProcess()), purpose }));
  return name;
}

/** Describes the first living waiter ahead of us; removes the tickets of dead ones. */
async function firstLiving(queue: string, own: string): Promise<string | undefined> {
  const tickets = (await readdir(queue)).filter((name) => name.endsWith(".json") && name < own).sort(byCodeUnit);
  for (const name of tickets) {
    const text = await textIfThere(join(queue, name), "record");
    if (text === undefined) continue;
    const ticket = parseTicket(text);
    // Unreadable ticket: half written, or its writer crashed. Skip it; strict order is not worth blocking for.
    if (ticket === undefined) continue;
    const liveness = await livenessOf(ticket);
    if (liveness === "alive") return `${describeProcess(ticket)} (${ticket.purpose}, waiting too)`;
    if (liveness !== "elsewhere") await rm(join(queue, name), { force: true });
  }
  return undefined;
}

function parseTicket(text: string) {
  return Ticket.safeParse(tryJson(text)).data;
}
