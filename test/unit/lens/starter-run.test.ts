import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { starterRunFolder } from "../../../server/common/package-root.ts";
import { activationsOf } from "../../../server/lens/reading.ts";
import { openLens } from "../../../server/pipeline/open-lens.ts";
import { vaderLexicon } from "../../../server/rewards/vader-lexicon.ts";

describe("the run that comes with the program", { timeout: 60_000 }, () => {
  it("opens offline and reads text; its sentiment words have the signs of their ratings more often than chance has", async () => {
    const lens = await openLens(starterRunFolder(), { threads: 1 });
    expect(lens.info).toMatchObject({ hasBase: true, hasTrueReward: true, task: "sentiment" });
    const rated = [...vaderLexicon("head")].filter(([word, value]) => Math.abs(value) > 2.5 && /^[a-z]+$/.test(word));
    const words = rated.filter(([word]) => (lens.evidence.seenInTuning(word) ?? 0) > 20).slice(0, 60);
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

  it("is small, and holds nothing that only going on with it would need", async () => {
    const files = await readdir(starterRunFolder(), { recursive: true });
    expect(files.filter((path) => /^(stages|lock|events|log\.jsonl)/.test(path))).toEqual([]);
    const sizes = await Promise.all(files.map(async (path) => (await stat(join(starterRunFolder(), path))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(24 * 2 ** 20);
  });
});
