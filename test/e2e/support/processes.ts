import { readdir, readFile } from "node:fs/promises";

/** The ids of this machine's processes whose command names all of these. */
export async function processesNaming(...parts: readonly string[]): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // A process may end between the two calls.
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    if (parts.every((part) => command.includes(part))) found.push(Number(name));
  }
  return found;
}
