import { errnoOf } from "./system-errors.ts";

/** Whether a process of this machine has this id, perhaps as a zombie. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It runs, as another user.
    return errnoOf(error) === "EPERM";
  }
}
