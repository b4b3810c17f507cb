import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Device } from "../../server/engine/device.ts";
import { LogRatioScorer } from "../../server/models/log-ratio.ts";
import { type OpenedPair, openPair } from "../../server/models/pair.ts";
import { characterGroups } from "../../server/models/tokenizer.ts";
import { jsonOf, runLfp } from "../support/run-lfp.ts";
import { expectClose } from "./close-to.ts";
import { devicesUnderTest } from "./devices.ts";
import { modelFolder } from "./fixtures.ts";

const names = ["gpt-neox", "gpt-neo", "gemma"] as const;
const near = { absolute: 1e-4, relative: 0 };

const numbers = z.array(z.number().nullable());
const read = { ids: z.array(z.int()), logRatio: numbers, kl: numbers };
const oracleSchema = z.object({
  shared: z.int(),
  contextLength: z.int(),
  bos: z.boolean(),
  texts: z.array(z.object({ text: z.string(), ...read })),
  ids: z.object(read),
});

const scored = z.object({
  bos: z.boolean(),
  passages: z.tuple([
    z.object({
      tokens: z.array(
        z.object({
          text: z.string(),
          learned: z.number().nullable(),
          kl: z.number().nullable(),
        }),
      ),
    }),
  ]),
});

function pairFolder(name: string): string {
  return fileURLToPath(new URL(`../fixtures/pairs/${name}`, import.meta.url));
}

const subjects = devicesUnderTest.flatMap((device) => names.map((name) => ({ ...device, name })));

describe.each(subjects)("a tuned $name beside its base on $kind equals transformers", ({ name, kind, open }) => {
  const references = { tuned: pairFolder(name), base: modelFolder(name) };
  const oracle = oracleSchema.parse(JSON.parse(readFileSync(`${references.tuned}/oracle.json`, "utf8")));
  let device: Device;
  let opened: OpenedPair;
  beforeAll(async () => {
    device = await open();
    opened = await openPair(device, references);
  });
  afterAll(() => device.close());

  it.each([true, false])(
    "log-ratios and divergences of ids, several texts at once, weights frozen: %s",
    async (frozen) => {
      const { contextLength: T, ids, texts } = oracle;
      const prefix = oracle.bos ? [opened.pair.base.config.bosId ?? -1] : [];
      const short = texts.filter((text) => prefix.length + text.ids.length <= T).slice(0, 2);
      const scorer = await LogRatioScorer.create(device, opened.pair, { shape: [3, T], kl: true, frozen });
      const [all, ...results] = await scorer.score([
        Int32Array.from(ids.ids),
        ...short.map((text) => Int32Array.from([...prefix, ...text.ids])),
      ]);
      await scorer.dispose();
      expectNear("ids", all?.logRatio, ids.logRatio);
      expectNear("divergences of ids", all?.kl, ids.kl);
      expect(ids.logRatio.slice(1).includes(null)).toBe(name !== "gpt-neo");
      for (const [at, { logRatio, kl }] of short.entries()) {
        expectNear(`text ${at}`, results[at]?.logRatio.slice(prefix.length), logRatio);
        expectNear(`divergences of text ${at}`, results[at]?.kl?.slice(prefix.length), kl);
      }
    },
  );

  it.each(oracle.texts)("lfp score of $text", async ({ text, ids, logRatio, kl }) => {
    const { tuned, base } = references;
    const ran = await runLfp(["score", "--text", text, "--tuned", tuned, "--base", base, "--device", kind, "--json"]);
    expect(ran.code, ran.stderr).toBe(0);
    const { bos, passages } = scored.parse(jsonOf(ran));
    expect(bos).toBe(oracle.bos);
    const { tokens } = passages[0];
    const encoding = opened.tokenizer.encode(text, { addSpecialTokens: false });
    expect([...encoding.ids]).toEqual(ids);
    const groups = characterGroups(encoding.ranges);
    expect(tokens.map((token) => token.text)).toEqual(groups.map(({ start, end }) => text.slice(start, end)));
    const sums = groups.map(({ firstToken, endToken }) =>
      logRatio
        .slice(firstToken, endToken)
        .reduce((sum, value) => (sum === null || value === null ? null : sum + value), 0),
    );
    expectNear(
      "learned",
      tokens.map(({ learned }) => learned),
      sums,
    );
    expectNear(
      "kl",
      tokens.map((token) => token.kl),
      groups.map(({ endToken }) => kl[endToken - 1] ?? null),
    );
  });
});

/** None (null or NaN) where none is expected, and numbers within the tolerance elsewhere. */
function expectNear(
  what: string,
  got: ArrayLike<number | null> | undefined,
  expected: readonly (number | null)[],
): void {
  const all = Array.from(got ?? [], (value) => (value === null || Number.isNaN(value) ? null : value));
  expect(
    all.map((value) => value === null),
    `${what}: which have none`,
  ).toEqual(expected.map((value) => value === null));
  const known = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);
  expectClose(what, known(all), known(expected), near);
}
