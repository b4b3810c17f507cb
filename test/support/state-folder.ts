import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";

/** A folder for a file's tests, on disk, in which the program also keeps its state; asked for once tests run. Removed after them. */
export function useStateFolder(name: string): () => string {
  let folder: string | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), `lfp-${name}-`));
    process.env["LFP_STATE_DIR"] = join(folder, "state");
  });
  afterAll(async () => {
    delete process.env["LFP_STATE_DIR"];
    if (folder !== undefined) await rm(folder, { recursive: true });
  });
  return () => {
    if (folder === undefined) throw new TypeError("the folder is there once tests run");
    return folder;
  };
}
