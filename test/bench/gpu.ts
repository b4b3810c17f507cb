/**
 * `npm run bench:gpu`: everything that is to be measured when a GPU is at hand, in one command. `lfp doctor`; `lfp tune` and `lfp bench gpu` at
 * the shapes of Pythia-70m and 160m in all three precisions; the same work in PyTorch on the same card, where `python3` has torch with CUDA
 * and transformers. Prints a Markdown table with the goals, and keeps all figures in a JSON file, written after
 * each part. A part that fails is named at the end, and the others go on.
 *
 *     npm run bench:gpu -- [--tiny] [--no-tune] [--python python3] [--out gpu-bench.json]
 *
 * `--tiny` takes small sizes, one precision and no tuning, to see on a software adapter that all of it works.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { writeFileAtomically } from "../../server/common/atomic-file.ts";
import { messageOf } from "../../server/common/errors.ts";
import { gpuTable, OurFigures, TheirFigures } from "./gpu-table.ts";
import { lastLine } from "./last-line.ts";

const cli = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));
const pytorch = fileURLToPath(new URL("pytorch_gpu.py", import.meta.url));

const { values } = parseArgs({
  options: {
    tiny: { type: "boolean", default: false },
    "no-tune": { type: "boolean", default: false },
    python: { type: "string", default: "python3" },
    out: { type: "string", default: "gpu-bench.json" },
  },
});
const shapes = values.tiny ? ["tiny"] : ["pythia-70m", "pythia-160m"];
const precisions = values.tiny ? ["f32"] : ["f32", "split", "half"];

const lfp = (...args: string[]): Promise<string | undefined> => lastLine(process.execPath, [cli, ...args]);

const ours: OurFigures[] = [];
const failed: string[] = [];
const doctor = await part("doctor", z.unknown(), () => lfp("doctor", "--json"));
let theirs: TheirFigures | undefined;
await keep();
for (const shape of shapes) {
  for (const precision of precisions) {
    const what = `${shape}, ${precision}`;
    if (!values.tiny && !values["no-tune"])
      await part(`tune ${what}`, z.unknown(), () => lfp("tune", "--shape", shape, "--precision", precision, "--json"));
    const size = values.tiny ? ["--tiny", "--repeats", "2"] : ["--shape", shape];
    const figures = await part(`bench ${what}`, OurFigures, () =>
      lfp("bench", "gpu", ...size, "--precision", precision, "--json"),
    );
    if (figures !== undefined) ours.push(figures);
    for (const { name } of figures?.refused ?? []) failed.push(`${name} of ${what}`);
    await keep();
  }
}
const onCpu = values.tiny ? ["--tiny", "--device", "cpu"] : [];
theirs = await part("PyTorch", TheirFigures, () => lastLine(values.python, [pytorch, "--json", ...onCpu]));
await keep();
console.log(gpuTable(ours, theirs));
console.log(`\nAll figures: ${values.out}`);
if (failed.length > 0) {
  console.log(`\nFailed, with the reason above: ${failed.join("; ")}`);
  process.exitCode = 1;
}

/** What a part's last line says; a part that fails, or says something else, is named at the end, and the others go on. */
async function part<T>(
  name: string,
  schema: z.ZodType<T>,
  run: () => Promise<string | undefined>,
): Promise<T | undefined> {
  try {
    const line = await run();
    if (line !== undefined) return schema.parse(JSON.parse(line));
  } catch (error) {
    console.error(`${name}: ${messageOf(error)}`);
  }
  failed.push(name);
  return undefined;
}

/** All figures so far. */
async function keep(): Promise<void> {
  const figures = { doctor: doctor ?? null, ours, pytorch: theirs ?? null, failed };
  await writeFileAtomically(values.out, `${JSON.stringify(figures)}\n`);
}
