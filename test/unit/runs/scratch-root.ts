import { accessSync, constants } from "node:fs";
import { tmpdir } from "node:os";

/** Where tests make folders that flush much: in memory where the system offers that, which makes flushes cheap. */
export const scratchRoot = writable("/dev/shm") ? "/dev/shm" : tmpdir();

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
