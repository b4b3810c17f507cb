/**
 * `node scripts/build-starter-run.ts RUN`: puts what a finished `quick` run is looked at with into assets/starter-run, so that the editor shows
 * something at once, without a run of one's own. Left out: what only going on with the run needs, and the feature store, which is large.
 */
import { cp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const root = fileURLToPath(new URL("..", import.meta.url));
const kept = ["experiment.json", "run.json", "divergence.json", "report.json", "report.md", "probe", "sae", "tuned"];

export async function buildStarterRun(run: string, folder = join(root, "assets", "starter-run")): Promise<void> {
  const { state, name } = z
    .object({ name: z.string(), state: z.object({ kind: z.string() }) })
    .parse(JSON.parse(await readFile(join(run, "run.json"), "utf8")));
  if (name !== "quick" || state.kind !== "done")
    throw new Error(`${run} is no finished quick run: ${name}, ${state.kind}`);
  await rm(folder, { recursive: true, force: true });
  for (const part of kept) await cp(join(run, part), join(folder, part), { recursive: true, dereference: true });
}

if (import.meta.main) {
  const [run] = process.argv.slice(2);
  if (run === undefined) throw new Error("usage: node scripts/build-starter-run.ts RUN");
  await buildStarterRun(run);
}
