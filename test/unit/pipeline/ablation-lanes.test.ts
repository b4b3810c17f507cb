/** Ablations on several devices: the numbers of one device, also where a measurement was cut and goes on elsewhere. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { MeasuredPart } from "../../../server/ablate/loss.ts";
import type { AblationResult } from "../../../server/ablate/result.ts";
import { starterFolder } from "../../../server/common/package-root.ts";
import { Random } from "../../../server/common/random.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device } from "../../../server/engine/device.ts";
import { Journal, type SavedJournal } from "../../../server/pipeline/ablation/journal.ts";
import { AblationBench } from "../../../server/pipeline/ablation/measure.ts";
import { type AblationPaths, type OpenedSubjects, openAblation } from "../../../server/pipeline/ablation/open.ts";
import type { AblationSubject } from "../../../server/pipeline/ablation/subject.ts";
import { writeJsonLines } from "../../../server/pipeline/artifacts/json-files.ts";
import { heldOutTexts } from "../../../server/pipeline/artifacts/texts.ts";
import { triplesFile } from "../../../server/pipeline/artifacts/triples.ts";
import { readTexts } from "../../../server/pipeline/data/texts.ts";
import { paperSampling } from "../../../server/tuning/sampling-config.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const settings = {
  sampling: { ...paperSampling, minTextCharacters: 20, rows: 8 },
  text: { prependBos: true },
  judged: "full",
  reward: { kind: "vader", lexicon: "head", text: "full" },
  contextLength: 32,
  multiToken: "average",
  prompts: 160,
} as const;

/** Features of the tiny run, two of each layer. */
const features = ["L0/F1", "L0/F5", "L1/F2", "L1/F7"].map((id) => ({ id, factor: 0 }));

let paths: AblationPaths;
let devices: readonly [Device, Device];
let alone: OpenedSubjects;
let both: OpenedSubjects;
let expected: readonly AblationResult[];
/** Pieces of work of a measurement on one device. */
let total: number;

beforeAll(async () => {
  const root = await scratchFolder();
  const { folder, triples } = await makeTinyRun(root);
  const texts = await readTexts(join(starterFolder(), "reviews.jsonl"), { field: "text" });
  await writeJsonLines(
    folder,
    heldOutTexts,
    texts.slice(0, 300).map(({ row, text }) => ({ id: `reviews/${row}`, text })),
  );
  await writeJsonLines(folder, triplesFile, triples);
  paths = {
    model: join(root, "base"),
    tuned: join(folder, "tuned"),
    texts: folder,
    saes: join(folder, "sae"),
    probe: join(folder, "probe"),
    triples: folder,
  };
  devices = [await createCpuDevice({ threads: 1 }), await createCpuDevice({ threads: 1 })];
  const open = (own: readonly [Device, ...Device[]]): Promise<OpenedSubjects> =>
    openAblation(own, paths, settings, new Set(["small"]), Random.fromSeed(3));
  alone = await open([devices[0]]);
  both = await open(devices);
  const counting = counted();
  expected = await measured(alone.subjects, counting.journal);
  total = counting.pieces();
});

afterAll(async () => {
  await alone[Symbol.asyncDispose]();
  await both[Symbol.asyncDispose]();
  for (const device of devices) await device.close();
});

/** A measurement with every control, and one that reuses what the first found of the unchanged model. */
async function measured(subjects: OpenedSubjects["subjects"], journal: Journal): Promise<AblationResult[]> {
  const bench = await AblationBench.open(subjects, journal);
  const common = { draws: 2, completions: 2, seed: 5 };
  const results = [
    await bench.measure({ ...common, features }),
    await bench.measure({ ...common, features: features.slice(0, 2), extent: "beside" }),
  ];
  await bench.dispose();
  return results;
}

type Measure = MeasuredPart["measure"];

/** A subject whose effect is measured in another way. */
function measuring(subject: AblationSubject, change: (measure: Measure) => Measure): AblationSubject {
  return {
    ...subject,
    meterOf: async (model, edit) => {
      const meter = await subject.meterOf(model, edit);
      return {
        parts: (options) => meter.parts(options).map(({ places, measure }) => ({ places, measure: change(measure) })),
        dispose: () => meter.dispose(),
      };
    },
  };
}

test("two devices give the numbers of one, and each does a part", async () => {
  const seen = new Set<number>();
  const watched = both.subjects.map((subject, at) =>
    measuring(subject, (measure) => (signal) => {
      seen.add(at);
      return measure(signal);
    }),
  );
  const [first, ...others] = watched;
  if (first === undefined) throw new Error("no subject");
  expect(await measured([first, ...others], new Journal())).toEqual(expected);
  expect([...seen].sort()).toEqual([0, 1]);
  expect(expected[0]?.conditions).toHaveLength(4 + 2);
  expect(expected[0]?.conditions[1]?.reward.change?.mean).not.toBe(0);
  expect(expected[0]?.conditions[1]?.probe).not.toBeNull();
  expect(expected[0]?.base).not.toBeNull();
});

/** A journal that counts the pieces of work which it lacked. */
function counted(saved?: SavedJournal): { readonly journal: Journal; readonly pieces: () => number } {
  let pieces = 0;
  const onPiece = async (): Promise<void> => {
    pieces += 1;
  };
  return { journal: new Journal(onPiece, saved), pieces: () => pieces };
}

/** What a checkpoint keeps of a journal: JSON, and copies of its arrays. */
function kept({ state, doubles, floats }: SavedJournal): SavedJournal {
  return { state: JSON.parse(JSON.stringify(state)), ...structuredClone({ doubles, floats }) };
}

class Cut extends Error {}

/** Cuts a measurement after each of these numbers of pieces, going on from its journal, and ends it. */
async function cutAt(
  cuts: readonly number[],
  subjectsOf: (part: number) => OpenedSubjects["subjects"],
): Promise<{ readonly results: AblationResult[]; readonly pieces: number[] }> {
  let saved: SavedJournal | undefined;
  const counts: number[] = [];
  for (const [part, cut] of [...cuts, Number.POSITIVE_INFINITY].entries()) {
    let pieces = 0;
    const onPiece = async (capture: () => SavedJournal): Promise<void> => {
      pieces += 1;
      if (pieces < cut) return;
      saved = kept(capture());
      throw new Cut();
    };
    const run = measured(subjectsOf(part), new Journal(onPiece, saved));
    if (part === cuts.length) return { results: await run, pieces: [...counts, pieces] };
    await expect(run).rejects.toBeInstanceOf(Cut);
    counts.push(pieces);
  }
  throw new Error("unreachable");
}

test("a measurement that was cut goes on with the same numbers, on as many devices as there are then", async () => {
  const cuts = [1, 4, 9, 2];
  const turns = [both, alone, both, both, alone];
  const { results, pieces } = await cutAt(cuts, (part) => (turns[part] ?? alone).subjects);
  expect(results).toEqual(expected);
  expect(pieces.slice(0, -1)).toEqual(cuts);
  // The other device ends what it does at a cut, which is not saved: a unit, or of several that collect triples one.
  const sum = pieces.reduce((all, count) => all + count, 0);
  expect(sum).toBeGreaterThanOrEqual(total);
  expect(sum).toBeLessThan(1.5 * total);
});

test("a device that fails ends the measurement with its error, when the other works no more", async () => {
  const [first, second] = both.subjects;
  if (second === undefined) throw new Error("no second subject");
  let working = 0;
  const failing = measuring(second, () => () => Promise.reject(new Error("no memory")));
  const counting = measuring(first, (measure) => async (signal) => {
    working += 1;
    const numbers = await measure(signal);
    working -= 1;
    return numbers;
  });
  await expect(measured([counting, failing], new Journal())).rejects.toThrow("no memory");
  expect(working).toBe(0);
});

test("goes on within a unit from a checkpoint of a version that did all units in order", async () => {
  const states: SavedJournal[] = [];
  let before = 0;
  const onPiece = async (capture: () => SavedJournal): Promise<void> => {
    before += 1;
    const saved = kept(capture());
    const { collecting, ...older } = z.looseObject({ collecting: z.int().optional() }).parse(saved.state);
    if (collecting === undefined) return;
    states.push({ ...saved, state: older });
    throw new Cut();
  };
  await expect(measured(alone.subjects, new Journal(onPiece))).rejects.toBeInstanceOf(Cut);
  const resumed = counted(states[0]);
  expect(await measured(alone.subjects, resumed.journal)).toEqual(expected);
  expect(before + resumed.pieces()).toBe(total);
});
