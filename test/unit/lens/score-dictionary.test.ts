/** `lfp score --sae`: two models read through a dictionary that someone else trained. Letters: D width, F features. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { loadModel } from "../../../server/models/checkpoint.ts";
import { forward, plainPositions } from "../../../server/models/model.ts";
import { activationsAt, type Site, siteNames } from "../../../server/models/sites.ts";
import { loadTokenizer } from "../../../server/models/tokenizer.ts";
import { openPairLens } from "../../../server/pipeline/finished/open-pair.ts";
import { DictionaryFitError } from "../../../server/sae/errors.ts";
import { saveSae } from "../../../server/sae/format.ts";
import type { Sae } from "../../../server/sae/sae.ts";
import { jsonOf, runLfp } from "../../support/run-lfp.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const text =
  "A good film, and the plot is unbelievably wonderful. I would not see it again, whatever they pay me for it.";
const [D, layer] = [16, 1];
const F = 2 * D;

let tuned: string;
let base: string;
beforeAll(async () => {
  const { folder } = await makeTinyRun(await scratchFolder());
  [tuned, base] = [join(folder, "tuned"), join(folder, "..", "..", "base")];
}, 60_000);

/** Feature d is the positive part of dimension d, feature D + d the negative one: it gives back whatever it encodes. */
function exact(sign = 1): Sae {
  const rows = (own: number) =>
    Float32Array.from({ length: F * D }, (_, at) => {
      const [f, d] = [Math.floor(at / D), at % D];
      return f % D === d ? (f < D ? own : -own) : 0;
    });
  const biases = { encoderBias: new Float32Array(F), decoderBias: new Float32Array(D) };
  return { D, F, activation: { kind: "relu" }, encoder: rows(1), decoder: rows(sign), ...biases };
}

async function dictionary(site: Site, sae = exact()): Promise<string> {
  const folder = join(await scratchFolder(), "theirs");
  const origin = { modelName: "theirs", module: "m", contextLength: 8, prependBos: false, dataset: null };
  await saveSae(folder, sae, { ...origin, layer, site });
  return folder;
}

/** Features [T, F] of the text in a model, from the activations alone. */
async function byHand(folder: string, site: Site): Promise<number[][]> {
  const device = await createCpuDevice({ threads: 1 });
  const model = await loadModel(device, folder);
  const { ids } = (await loadTokenizer(folder)).encode(text, { addSpecialTokens: false });
  const shape = [1, ids.length] as const;
  const outputs = { x: activationsAt(forward(model, { shape }), { layer, site }) };
  const program = await device.compile({ stores: [model.store], outputs });
  const { x = [] } = await program.run({ ids, positions: plainPositions(shape) });
  await device.close();
  return Array.from(ids, (_, t) => {
    const row = Array.from({ length: D }, (_value, d) => x[t * D + d] ?? Number.NaN);
    return [...row.map((value) => Math.max(0, value)), ...row.map((value) => Math.max(0, -value))];
  });
}

const result = z.object({
  mode: z.string(),
  limit: z.number(),
  dictionary: z.object({ layer: z.int(), site: z.string(), features: z.int() }),
  features: z.object({
    raised: z.array(z.object({ feature: z.int(), tuned: z.number(), base: z.number() })),
    lowered: z.array(z.unknown()),
  }),
  passages: z.array(
    z.object({
      tokens: z.array(
        z.object({
          feature: z.string().nullable(),
          featureTuned: z.number().nullable(),
          features: z.array(z.object({ feature: z.int(), tuned: z.number(), base: z.number() })),
        }),
      ),
    }),
  ),
});

const score = (...args: string[]) =>
  runLfp(["score", "--tuned", tuned, "--base", base, "--no-bos", "--text", text, ...args]);

describe.each(siteNames)("a dictionary of the site %s", (site) => {
  it("gives the strongest features of every token in both models, and their means", { timeout: 60_000 }, async () => {
    const ran = await score("--sae", await dictionary(site), "--json");
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stderr).toMatch(
      /layer 1 explains 1\.000 of the variance in the tuned model with 16\.0 of 32 features active/,
    );
    const found = result.parse(jsonOf(ran));
    expect(found.dictionary).toEqual({ layer, site, features: F });
    const [inTuned, inBase] = [await byHand(tuned, site), await byHand(base, site)];
    const tokens = found.passages.flatMap((passage) => passage.tokens);
    expect(tokens).toHaveLength(inTuned.length);
    for (const [t, { features, feature }] of tokens.entries()) {
      const largest = Array.from({ length: F }, (_, f) => Math.max(inTuned[t]?.[f] ?? 0, inBase[t]?.[f] ?? 0));
      expect(features.map((one) => largest[one.feature])).toEqual(largest.toSorted((a, b) => b - a).slice(0, 5));
      expect(feature).toBe(`F${features[0]?.feature}`);
      for (const one of features) {
        expect(one.tuned).toBeCloseTo(inTuned[t]?.[one.feature] ?? Number.NaN, 4);
        expect(one.base).toBeCloseTo(inBase[t]?.[one.feature] ?? Number.NaN, 4);
      }
    }
    const change = (f: number) =>
      inTuned.reduce((sum, row, t) => sum + (row[f] ?? 0) - (inBase[t]?.[f] ?? 0), 0) / inTuned.length;
    const most = Array.from({ length: F }, (_, f) => f).sort((a, b) => change(b) - change(a));
    expect(found.features.raised.map((one) => one.feature)).toEqual(most.slice(0, 5));
    for (const one of found.features.raised) expect(one.tuned - one.base).toBeCloseTo(change(one.feature), 4);
  });
});

it("shows one feature, however weak it is, and writes it to a file", { timeout: 60_000 }, async () => {
  const [sae, out] = [await dictionary("residual"), join(await scratchFolder(), "tokens.csv")];
  const expected = (await byHand(tuned, "residual")).map((row) => row[3] ?? Number.NaN);
  const one = ["--sae", sae, "--mode", "feature", "--feature", "F3"];
  const shown = result.parse(jsonOf(await score(...one, "--json")));
  const values = shown.passages.flatMap(({ tokens }) => tokens.map((token) => token.featureTuned ?? Number.NaN));
  for (const [t, value] of values.entries()) expect(value).toBeCloseTo(expected[t] ?? Number.NaN, 4);
  expect(shown.limit).toBeCloseTo(Math.max(...expected), 4);
  expect((await score(...one, "--out", out)).code).toBe(0);
  const rows: string[][] = parse(await readFile(out, "utf8"));
  expect(rows[0]?.slice(-3)).toEqual(["feature", "featureTuned", "featureBase"]);
  expect(rows.slice(1).map((row) => Number(row.at(-2)))).toEqual(values);
});

describe("what is refused", { timeout: 60_000 }, () => {
  it("a dictionary that reconstructs nothing of either model, with its numbers", async () => {
    const opening = openPairLens(
      { tuned, base },
      { bos: false, dictionary: { folder: await dictionary("residual", exact(-1)) } },
    );
    await expect(opening).rejects.toBeInstanceOf(DictionaryFitError);
    await expect(opening).rejects.toThrow(
      /does not fit: on \d+ tokens of the tuned model it leaves [34]\.\d+ of the variance unexplained \(FVU\), with 16\.0 of 32 features/,
    );
  });

  it.each<[what: string, args: (folder: string) => string[], says: RegExp]>([
    [
      "another layer than its files say",
      (sae) => ["--sae", sae, "--layer", "0"],
      /'blocks\.1\.hook_resid_post', so layer 1, but layer 0 was asked for/,
    ],
    [
      "another site than its files say",
      (sae) => ["--sae", sae, "--site", "mlp-output"],
      /so site residual, but site mlp-output was asked for/,
    ],
    [
      "a feature that it lacks",
      (sae) => ["--sae", sae, "--mode", "feature", "--feature", "F32"],
      /--feature is "F32"; the dictionary is of layer 1 and has the features F0 to F31/,
    ],
    [
      "a feature of another layer",
      (sae) => ["--sae", sae, "--mode", "feature", "--feature", "L0/F3"],
      /--feature is "L0\/F3"/,
    ],
    [
      "a feature without its mode",
      (sae) => ["--sae", sae, "--feature", "F3"],
      /--mode feature and --feature ID go together/,
    ],
    [
      "a layer that is no number",
      (sae) => ["--sae", sae, "--layer", "one"],
      /--layer is "one"; expected a layer's number/,
    ],
    [
      "a folder that is not there",
      () => ["--sae", "/there-is-no-such-dictionary"],
      /no-such-dictionary cannot be read .*: give a folder that holds one dictionary/,
    ],
    ["a layer without a dictionary", () => ["--layer", "1"], /--layer goes with --sae/],
    [
      "a feature without a dictionary",
      () => ["--mode", "feature", "--feature", "F3"],
      /--feature needs a run \(--run RUN\) or a dictionary \(--sae FOLDER\)/,
    ],
  ])("%s", async (_, args, says) => {
    const { code, stderr } = await score(...args(await dictionary("residual")));
    expect(stderr).toMatch(says);
    expect(code).not.toBe(0);
  });

  it("a dictionary with a run, or with preferences", async () => {
    expect((await runLfp(["score", "--text", text, "--sae", "x"])).stderr).toMatch(
      /--sae goes with --tuned and --base/,
    );
    const pairs = ["score", "x.jsonl", "--pairs", "--tuned", tuned, "--base", base, "--sae", "x"];
    expect((await runLfp(pairs)).stderr).toMatch(/--sae does not go with --pairs/);
  });
});
