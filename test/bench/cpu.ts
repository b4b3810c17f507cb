/**
 * `npm run bench:cpu`: training, forward passes, PPO, DPO, autoencoders and sampling on this machine's processor, ours and the same work in
 * PyTorch in turn, medians of several runs of each, where `python3` has torch and transformers. Prints a Markdown table with ratios, peaks of memory and the
 * goals. Where torch.compile may help, PyTorch runs both ways once, and the faster one counts. The machine should do nothing else.
 *
 *     npm run bench:cpu -- [--rounds 3] [--threads N] [--shape pythia-70m] [--only dpo] [--python python3] [--json]
 *
 * With `--json` the last line is `{"name":"cpu","check":"ok","processor":...,"rows":[...]}`, else the table is followed by it. A part that fails is named
 * in `check`, and the others go on.
 */
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "../../server/common/errors.ts";
import { starterFolder } from "../../server/common/package-root.ts";
import { BenchLine, type BenchPart, type CpuRow, cpuTable, fastestOf, partsOf, rowsOf, shapes } from "./cpu-table.ts";
import { lastLine } from "./last-line.ts";

const cli = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: String(availableParallelism()) },
    shape: { type: "string", multiple: true, default: [...shapes] },
    only: { type: "string", multiple: true, default: [] },
    python: { type: "string", default: "python3" },
    json: { type: "boolean", default: false },
  },
});
const threads = ["--threads", values.threads];

const rows: CpuRow[] = [];
const failed: string[] = [];
const parts = shapes
  .filter((shape) => values.shape.includes(shape))
  .flatMap((shape) => partsOf(shape, starterFolder()))
  .filter(({ figures }) => values.only.length === 0 || figures.some(({ what }) => values.only.includes(what)));
for (const part of parts) {
  try {
    rows.push(...(await rowsIn(part)));
  } catch (error) {
    console.error(messageOf(error));
    failed.push(`${part.figures.map(({ what }) => what).join(" and ")} at ${part.shape}`);
  }
}
const processor = `${cpus()[0]?.model ?? "unknown processor"}, ${values.threads} threads`;
if (!values.json) console.log(cpuTable(rows, processor));
const check = failed.length === 0 ? "ok" : `failed, with the reason above: ${failed.join("; ")}`;
console.log(JSON.stringify({ name: "cpu", check, processor, rows }));
if (failed.length > 0) process.exitCode = 1;

/** Runs both sides in turn. Throws where one gives no figures, or wrong ones. */
async function rowsIn(part: BenchPart): Promise<CpuRow[]> {
  const ours: BenchLine[] = [];
  const theirs: BenchLine[] = [];
  let way: number | undefined;
  for (let round = 0; round < Number(values.rounds); round++) {
    ours.push(await oursOf(part));
    if (way === undefined) {
      const lines = [];
      for (const one of part.theirs) lines.push(await theirsOf(one).catch(() => undefined));
      way = fastestOf(part, lines);
      theirs.push(lines[way] ?? (await theirsOf(part.theirs[0])));
    } else theirs.push(await theirsOf(part.theirs[way]));
  }
  return rowsOf(part, ours, theirs);
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
