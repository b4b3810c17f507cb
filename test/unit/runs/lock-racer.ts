import { closeSync, openSync, readFileSync, unlinkSync, writeSync } from "node:fs";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { Random } from "../../../server/common/random.ts";
import { Lock, LockedError } from "../../../server/runs/run-lock.ts";

/**
 * One of many processes after one lock: `node lock-racer.ts LOCK_FOLDER INSIDE_FILE ROUNDS DIES`. While it holds the lock it
 * keeps a file that nobody else may have at the same time. Prints how often it held the lock; exit status 3 when it was not
 * alone. With DIES, it ends by SIGKILL while it holds the lock for the last time.
 */
const [folder = "", inside = "", rounds = "0", dies = "false"] = process.argv.slice(2);
const random = Random.fromSeed(process.pid);

for (let held = 0; held < Number(rounds); ) {
  const lock = await Lock.acquire(folder, "the race", "race").catch((error: unknown) => {
    if (error instanceof LockedError) return undefined;
    throw error;
  });
  if (lock === undefined) {
    await delay(random.uniform() * 20);
    continue;
  }
  held++;
  enter();
  await nextTurn();
  if (dies === "true" && held === Number(rounds)) process.kill(process.pid, "SIGKILL");
  unlinkSync(inside);
  await lock.release();
}

function enter(): void {
  try {
    claim();
  } catch {
    // Left by one that died, or held by one that lives?
    const other = Number(readFileSync(inside, "utf8"));
    if (lives(other)) {
      process.stderr.write(`${process.pid} and ${other} both hold the lock\n`);
      process.exit(3);
    }
    unlinkSync(inside);
    claim();
  }
}

function claim(): void {
  const descriptor = openSync(inside, "wx");
  writeSync(descriptor, String(process.pid));
  closeSync(descriptor);
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A killed process that has not been reaped yet has no command line.
    return readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";
  } catch {
    return false;
  }
}
