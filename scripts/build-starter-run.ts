/**
 * `node scripts/build-starter-run.ts RUN`: puts what a finished `quick` run is looked at with into assets/starter-run, so that the editor shows
 * something at once, without a run of one's own. Left out: what only going on with the run needs, the base model's larger dictionaries, and most
 * examples of features that the probe does not read, which would be three quarters of it all.
 */
import { existsSync } from "node:fs";
import { cp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const root = fileURLToPath(new URL("..", import.meta.url));
const kept = [
  "experiment.json",
  "run.json",
  "divergence.json",
  "report.json",
  "report.md",
  "learned",
  "fitted",
  "probe",
  "sae",
  "tuned",
];
/** What a run may have besides: how far its readings can be trusted. */
const optional = ["calibration"];

export async function buildStarterRun(run: string, folder = join(root, "assets", "starter-run")): Promise<void> {
  const { state, name } = z
    .object({ name: z.string(), state: z.object({ kind: z.string() }) })
    .parse(JSON.parse(await readFile(join(run, "run.json"), "utf8")));
  if (name !== "quick" || state.kind !== "done")
    throw new Error(`${run} is no finished quick run: ${name}, ${state.kind}`);
  refuseNotes(join(run, store));
  await rm(folder, { recursive: true, force: true });
  for (const part of kept) await cp(join(run, part), join(folder, part), { recursive: true, dereference: true });
  await removeLargest(join(folder, "sae", "base"));
  for (const part of optional)
    if (existsSync(join(run, part))) await cp(join(run, part), join(folder, part), { recursive: true });
  await copySmaller(join(run, store), join(folder, store));
}

const store = "features.sqlite";

/** What people wrote about a run's features is not for everybody. */
function refuseNotes(path: string): void {
  const db = new DatabaseSync(path, { readOnly: true });
  const written = ["labels", "notes", "pins", "answers"].filter(
    (table) => db.prepare(`SELECT 1 FROM ${table} LIMIT 1`).get() !== undefined,
  );
  const added = ["explanations", "ablations"].filter(
    (table) => db.prepare(`SELECT 1 FROM ${table} WHERE by_run = 0 LIMIT 1`).get() !== undefined,
  );
  db.close();
  const found = [...written, ...added].join(", ");
  if (found !== "") throw new Error(`${path} holds ${found} that people added; take a run that nobody has worked on`);
}

/** Keeps the smallest dictionary of each layer, in folders `<layer>/<features>`. */
async function removeLargest(folder: string): Promise<void> {
  for (const layer of await readdir(folder)) {
    const sizes = (await readdir(join(folder, layer))).sort((a, b) => Number(a) - Number(b));
    for (const size of sizes.slice(1)) await rm(join(folder, layer, size), { recursive: true });
  }
}

/** A copy of a feature store in one file, with examples and search for the tuned model's small dictionaries (`space` 0, see store/schema.ts). */
async function copySmaller(from: string, to: string): Promise<void> {
  const source = new DatabaseSync(from, { readOnly: true });
  await backup(source, to);
  source.close();
  const db = new DatabaseSync(to);
  db.exec(`PRAGMA journal_mode = DELETE;
    DELETE FROM search WHERE rowid IN (SELECT id FROM features WHERE space > 0);
    DELETE FROM examples WHERE feature IN (SELECT id FROM features WHERE space > 0);
    DELETE FROM windows WHERE id NOT IN (SELECT window FROM examples);
    INSERT INTO search (search) VALUES ('optimize');
    VACUUM;`);
  db.close();
}

if (import.meta.main) {
  const [run] = process.argv.slice(2);
  if (run === undefined) throw new Error("usage: node scripts/build-starter-run.ts RUN");
  await buildStarterRun(run);
}
