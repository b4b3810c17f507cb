/**
 * `npm run bench:cpu`: training, forward passes, PPO, DPO, autoencoders and sampling on this machine's processor, ours and the same work in
 * PyTorch in turn, medians of several runs of each, where `python3` has torch and transformers. Prints a Markdown table with ratios, peaks of memory and the
 * goals. Where torch.compile may help, PyTorch runs both ways once, and the faster one counts. TRL and SAELens do their parts once where Python has them.
 * The machine should do nothing else.
 * `--shape smollm2-135m` and `--shape qwen3-0.6b` time training (the smaller alone), forward passes and sampling of today's architectures.
 *
 *     npm run bench:cpu -- [--rounds 3] [--threads N] [--shape pythia-70m] [--only dpo] [--python python3] [--json]
 *
 * With `--json` the last line is `{"name":"cpu","check":"ok","processor":...,"rows":[...],"skipped":[...],"parts":[...]}`, else the table is followed by it. A
 * part that fails is named in `check`, and the others go on; `skipped` names libraries that are not there, `parts` how long each part took.
 */
import { spawnSync } from "node:child_process";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "../../server/common/errors.ts";
import { starterFolder } from "../../server/common/package-root.ts";
import {
  BenchLine,
  type BenchPart,
  type CpuRow,
  cpuTable,
  fastestOf,
  type Library,
  partsOf,
  rowsOf,
  shapes,
  usualShapes,
} from "./cpu-table.ts";
import { lastLine } from "./last-line.ts";

const cli = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: String(availableParallelism()) },
    shape: { type: "string", multiple: true, default: [...usualShapes] },
    only: { type: "string", multiple: true, default: [] },
    python: { type: "string", default: "python3" },
    json: { type: "boolean", default: false },
  },
});
const threads = ["--threads", values.threads];

const rows: CpuRow[] = [];
const failed: string[] = [];
const skipped: string[] = [];
const took: { part: string; seconds: number }[] = [];
const parts = shapes
  .filter((shape) => values.shape.includes(shape))
  .flatMap((shape) => partsOf(shape, starterFolder()))
  .filter(({ figures }) => values.only.length === 0 || figures.some(({ what }) => values.only.includes(what)));
for (const part of parts) {
  const name = `${part.figures.map(({ what }) => what).join(" and ")} at ${part.shape}`;
  const start = performance.now();
  try {
    rows.push(...(await rowsIn(part, name)));
  } catch (error) {
    fail(name, error);
  }
  took.push({ part: name, seconds: Math.round((performance.now() - start) / 1000) });
}
const processor = `${cpus()[0]?.model ?? "unknown processor"}, ${values.threads} threads`;
if (!values.json) console.log(cpuTable(rows, processor));
for (const one of skipped) console.error(`skipped: ${one}`);
for (const { part, seconds } of took) console.error(`${part} took ${seconds} s`);
const check = failed.length === 0 ? "ok" : `failed, with the reason above: ${failed.join("; ")}`;
console.log(JSON.stringify({ name: "cpu", check, processor, rows, skipped, parts: took }));
if (failed.length > 0) process.exitCode = 1;

/** Runs all sides in turn. Throws where we or PyTorch give no figures, or wrong ones; a library that does so loses its row only. */
async function rowsIn(part: BenchPart, name: string): Promise<CpuRow[]> {
  const ours: BenchLine[] = [];
  const theirs: BenchLine[] = [];
  const beside = new Map(installed(part, name).map((library) => [library, [] as BenchLine[]]));
  let way: number | undefined;
  for (let round = 0; round < Number(values.rounds); round++) {
    ours.push(await oursOf(part));
    if (way === undefined) {
      const lines = [];
      for (const one of part.theirs) lines.push(await theirsOf(one).catch(() => undefined));
      way = fastestOf(part, lines);
      theirs.push(lines[way] ?? (await theirsOf(part.theirs[0])));
    } else theirs.push(await theirsOf(part.theirs[way]));
    // Libraries run in the first round only, for the time it takes.
    if (round > 0) continue;
    for (const [library, lines] of beside) {
      try {
        lines.push(await theirsOf(library.theirs));
      } catch (error) {
        beside.delete(library);
        fail(`${library.name}'s ${name}`, error);
      }
    }
  }
  return [
    ...rowsOf(part, ours, theirs),
    ...[...beside].flatMap(([library, lines]) => rowsOf(part, ours, lines, library)),
  ];
}

function fail(name: string, error: unknown): void {
  console.error(messageOf(error));
  failed.push(name);
}

/** The libraries of a part that Python finds; the others are named in `skipped`. */
function installed(part: BenchPart, name: string): Library[] {
  return part.libraries.filter((library) => {
    const find = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";
    const isThere = spawnSync(values.python, ["-c", find, library.module]).status === 0;
    if (!isThere) skipped.push(`${library.name}'s ${name}: ${values.python} has no module '${library.module}'`);
    return isThere;
  });
}

async function oursOf(part: BenchPart): Promise<BenchLine> {
  const line = parsed(await lastLine(process.execPath, [cli, "bench", ...part.ours, ...threads, "--json"]));
  if (line.check !== "ok") throw new Error(`lfp bench ${part.ours.join(" ")}: ${line.check}`);
  return line;
}

async function theirsOf(way: BenchPart["theirs"][number] | undefined): Promise<BenchLine> {
  const [script = "", ...args] = way ?? [];
  const file = fileURLToPath(new URL(script, import.meta.url));
  return parsed(await lastLine(values.python, [file, ...args, ...threads, "--json"]));
}

function parsed(line: string | undefined): BenchLine {
  if (line === undefined) throw new Error("a bench ended without figures; its reason is above");
  return BenchLine.parse(JSON.parse(line));
}
