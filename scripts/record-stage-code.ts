/**
 * Records with what code each stage of a run computes, in test/fixtures/stage-code.json. A test fails where the code has changed since and a
 * stage's codeVersion has not: without it, runs would go on taking results of the old code for those of the new.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { z } from "zod";
import { writeFileAtomically } from "../server/common/atomic-file.ts";
import { readImportGraph, type SourceFile } from "../test/support/import-graph.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const recordFile = join(root, "test", "fixtures", "stage-code.json");
export const recordCommand = "npm run record:stages";

const recordSchema = z.object({
  /** codeVersion by stage. */
  stages: z.record(z.string(), z.int()),
  /** Digest of what a file computes, by path: a line a file, so that changes of different files merge. */
  files: z.record(z.string(), z.string()),
});
export type StageRecord = z.infer<typeof recordSchema>;

/** What stages compute with: the record, and by file the stages that load it. */
export interface StageCode extends StageRecord {
  readonly readers: ReadonlyMap<string, readonly string[]>;
}

/**
 * Files that do not count: the engine and its kernels, which tests hold to stored values of PyTorch on every device; what only carries, names or
 * refuses things; and experiments' schemas, whose values are in a stage's key anyway.
 */
const WITHOUT_EFFECT =
  /^(?!server\/)|^server\/(engine|protocol|runs|models\/hub|pipeline\/experiment)[/.]|errors\.ts$|^server\/common\/(?!random|quantiles|mean-interval|centred-form|order)/;
const STAGES = /^server\/pipeline\/stages\//;

export function stageCodeOf(files: readonly SourceFile[]): StageCode {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const stages: Record<string, number> = {};
  const readers = new Map<string, string[]>();
  for (const { path, source } of files.filter((file) => STAGES.test(file.path))) {
    const own = stagesIn(path, source);
    Object.assign(stages, Object.fromEntries(own));
    for (const loaded of own.length === 0 ? [] : loadedBy(path, byPath))
      readers.set(loaded, [...(readers.get(loaded) ?? []), ...own.map(([name]) => name)]);
  }
  const paths = [...readers.keys()].toSorted();
  const digests = paths.map((path) => [path, digestOf(byPath.get(path)?.source ?? "")] as const);
  return { stages, files: Object.fromEntries(digests), readers };
}

/** What has to be done before the record is of this code again; empty where it is. */
export function staleness(recorded: StageRecord, { stages, files, readers }: StageCode): string {
  const unraised = (path: string): string[] =>
    (readers.get(path) ?? []).filter((name) => stages[name] === recorded.stages[name]);
  const changed = Object.keys(files).filter((path) => files[path] !== recorded.files[path]);
  const lines = changed.flatMap((path) => {
    const names = unraised(path);
    return names.length === 0 ? [] : [`  ${path}: ${names.join(", ")}`];
  });
  if (lines.length > 0)
    return `code that stages compute with has changed, and their codeVersion has not:\n${lines.join("\n")}\nWhere their results change, raise codeVersion in server/pipeline/stages/, so that runs compute them anew; where not, leave it. Then \`${recordCommand}\` and commit test/fixtures/stage-code.json with the change.`;
  const same = ({ stages: a, files: b }: StageRecord): string => JSON.stringify([sorted(a), sorted(b)]);
  return same(recorded) === same({ stages, files })
    ? ""
    : `test/fixtures/stage-code.json is of other stages or files: \`${recordCommand}\` and commit it.`;
}

export async function readStageRecord(): Promise<StageRecord> {
  return recordSchema.parse(JSON.parse(await readFile(recordFile, "utf8")));
}

/** `name (file)` and codeVersion of every stage that a file defines. */
function stagesIn(path: string, source: string): [string, number][] {
  const file = path.replace(STAGES, "");
  const found = [...source.matchAll(/name: "([\w-]+)",\s+codeVersion: (\d+),/g)];
  if (found.length !== [...source.matchAll(/codeVersion: \d/g)].length)
    throw new Error(`${path}: a stage is written as \`name: "...", codeVersion: N,\`, so that it can be recorded`);
  return found.map(([, name = "", version]) => [`${name} (${file})`, Number(version)]);
}

/** A file and all that it loads of what counts, itself first; what does not count is not looked through either. */
function loadedBy(path: string, files: ReadonlyMap<string, SourceFile>): Set<string> {
  const found = new Set<string>();
  const visit = (next: string): void => {
    const file = files.get(next);
    if (file === undefined || found.has(next) || WITHOUT_EFFECT.test(next)) return;
    found.add(next);
    for (const { target, kind } of file.imports) if (kind === "value") visit(target);
  };
  visit(path);
  return found;
}

/** Of the code without types, comments, formatting and where its imports lie. */
function digestOf(source: string): string {
  const { code } = transformSync(source, { loader: "ts", minifyWhitespace: true, legalComments: "none" });
  const computed = code.replaceAll(/import[^;"]*"[^"]*";/g, "");
  return createHash("sha256").update(computed).digest("hex").slice(0, 16);
}

function sorted<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

async function record(): Promise<void> {
  const code = stageCodeOf(await readImportGraph(root, ["server", "kernels"]));
  const said = staleness(await readStageRecord().catch(() => ({ stages: {}, files: {} })), code);
  if (said.startsWith("code")) process.stdout.write(`${said.slice(0, said.lastIndexOf("\n"))}\nRecorded.\n`);
  const { stages, files } = code;
  const text = { stages: Object.fromEntries(sorted(stages)), files: Object.fromEntries(sorted(files)) };
  await writeFileAtomically(recordFile, `${JSON.stringify(text, undefined, 2)}\n`);
}

if (import.meta.main) await record();
