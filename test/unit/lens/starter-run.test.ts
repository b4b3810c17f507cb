import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { starterRunFolder } from "../../../server/common/package-root.ts";
import { activationsOf } from "../../../server/lens/reading.ts";
import { tokenSpan } from "../../../server/lens/words.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { reportSchema } from "../../../server/pipeline/report/document.ts";
import { loadProbe } from "../../../server/probe/format.ts";
import { AblationSet } from "../../../server/protocol/ablation.ts";
import { vaderLexicon } from "../../../server/rewards/vader-lexicon.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";

describe("the run that comes with the program", { timeout: 60_000 }, () => {
  it("opens offline and reads text; its sentiment words have the signs of their ratings more often than chance has", async () => {
    const lens = await openLens(starterRunFolder(), { threads: 1 });
    expect(lens.info).toMatchObject({ hasBase: true, hasTrueReward: true, task: "sentiment" });
    const rated = [...vaderLexicon("head")].filter(([word, value]) => Math.abs(value) > 2.5 && /^[a-z]+$/.test(word));
    const { evidence } = lens;
    if (evidence.kind !== "regression") throw new Error(`the run has a ${evidence.kind}`);
    const words = rated.filter(([word]) => (evidence.seenInTuning(word) ?? 0) > 20).slice(0, 60);
    expect(words.length).toBeGreaterThan(15);
    let right = 0;
    for (const [word, value] of words) {
      const text = `I thought that this film was ${word}`;
      const reading = await lens.read(text);
      const inside = [...reading.starts.keys()].filter(
        (token) => (reading.ends[token] ?? 0) > text.length - word.length,
      );
      const read = inside.reduce((sum, token) => sum + (reading.implicit[token] ?? 0), 0);
      expect(inside.every((token) => reading.trueReward[token] === value)).toBe(true);
      if (Math.sign(read) === Math.sign(value)) right += 1;
    }
    expect(right / words.length).toBeGreaterThan(0.6);
    const reading = await lens.read("A wonderful film.");
    expect(activationsOf(reading, 0).length).toBe(reading.starts.length);
    await lens.close();
  });

  it("knows its probe's words, and not what stands between words", async () => {
    const lens = await openLens(starterRunFolder(), { threads: 1 });
    expect(lens.info.hasFamiliarity).toBe(true);
    const text =
      "I thought that the film was great, and that the acting was bad; the music was good, and the end was sad.";
    const { starts, ends, familiarity } = await lens.read(text);
    const known = (wanted: RegExp): boolean[] =>
      [...starts.keys()]
        .filter((token) => wanted.test(text.slice(starts[token], ends[token])))
        .map((token) => (familiarity?.[token] ?? Number.NaN) <= 1);
    expect(known(/great|bad|good|sad/)).toEqual([true, true, true, true]);
    expect(known(/[,.;]/)).toEqual([false, false, false, false]);
    await lens.close();
  });

  it("gives numbers that are sums of weights times activations, and that ablating nothing leaves as they are, bit for bit", async () => {
    const lens = await openLens(starterRunFolder(), { threads: 1 });
    const { probe, wordFolds } = await loadProbe(join(starterRunFolder(), "probe"));
    const text =
      "A wonderful, moving film. The plot is terrible and boring, but I would recommend it to my best friend!";
    const reading = await lens.read(text);
    const activations = Array.from(probe.weights, (_, column) => activationsOf(reading, column));
    for (const [token, implicit] of reading.implicit.entries()) {
      // A word that the probe was fitted on is read by the fold that did not see it.
      const { weights, intercept: constant } = wordFolds?.probes[reading.folds[token] ?? -1] ?? probe;
      const parts = activations.reduce(
        (sum, column, at) => sum + (weights[at] ?? Number.NaN) * (column[token] ?? 0),
        constant,
      );
      expect(Math.abs(parts - implicit)).toBeLessThan(1e-4);
      const { contributions, intercept, rest } = lens.explain(text, reading, tokenSpan(reading, token), 5);
      const shown = contributions.reduce((sum, { contribution }) => sum + contribution, intercept + rest.contribution);
      expect(Math.abs(shown - implicit)).toBeLessThan(1e-4);
    }
    expect(reading.implicit.length).toBeGreaterThan(20);
    const set = (features: AblationSet["features"]) => AblationSet.parse({ format: "lfp-ablation/1", features });
    expect(await lens.read(text, { ablation: set([]) })).toEqual(reading);
    expect(await lens.read(text, { ablation: set([{ id: "L4/F0", factor: 1 }]) })).toEqual(reading);
    // A factor that float32 rounds to one goes through the program that takes contributions out.
    const nothing = set([
      { id: "L1/F70", factor: 1 + 1e-12 },
      { id: "L4/F0@big", factor: 1 + 1e-12 },
    ]);
    expect(await lens.read(text, { ablation: nothing })).toEqual(reading);
    expect(await lens.read(text, { ablation: set([{ id: "L1/F70", factor: 0 }]) })).not.toEqual(reading);
    await lens.close();
  });

  it("has a report that measured the tuned model's sampled reward before and after on 256 prompts, with intervals and controls", async () => {
    const folder = starterRunFolder();
    const report = reportSchema.parse(JSON.parse(await readFile(join(folder, "report.json"), "utf8")));
    const tables = new Map(report.sections.flatMap((section) => section.tables.map((table) => [table.id, table])));
    const { rows = [], columns, notes } = tables.get("ablation-controls") ?? tables.get("table-6") ?? {};
    expect(columns).toEqual(["", "mean reward", "95 % low", "95 % high", "change", "95 % low", "95 % high"]);
    expect(Number(/^(\d+) held-out prompts/.exec(notes?.[0] ?? "")?.[1])).toBeGreaterThanOrEqual(256);
    const conditions = [
      /^tuned model as it is/,
      /^features removed/,
      /^features at their mean/,
      /^reconstruction only/,
    ];
    for (const name of [...conditions, /draw 1$/, /draw 2$/, /draw 3$/]) {
      const [, mean, low, high, ...change] = rows.find(([first]) => name.test(String(first))) ?? [];
      expect(Number(low)).toBeLessThan(Number(mean));
      expect(Number(high)).toBeGreaterThan(Number(mean));
      expect(change.every((cell) => typeof cell === "number")).toBe(!name.test("tuned model as it is"));
    }
    for (const id of ["table-1", "table-6", "table-7", "table-8"])
      expect(tables.get(id)?.rows.some(([first]) => String(first).startsWith("paper, "))).toBe(true);
    const record = await readRecord(folder);
    const keys = new Map(record?.stages.map(({ stage, key }) => [stage, key?.slice(0, 16)]));
    for (const { source } of tables.values()) expect(source.key).toBe(keys.get(source.stage));
  });

  it("is small, and holds nothing that only going on with it would need", async () => {
    const files = await readdir(starterRunFolder(), { recursive: true });
    expect(files.filter((path) => /^(stages|lock|events|log\.jsonl)/.test(path))).toEqual([]);
    const sizes = await Promise.all(files.map(async (path) => (await stat(join(starterRunFolder(), path))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(24 * 2 ** 20);
  });
});
