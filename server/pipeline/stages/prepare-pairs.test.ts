import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { stageContext } from "../../../test/support/stage-context.ts";
import { starterFolder } from "../../common/package-root.ts";
import type { PairTask } from "../../tasks/tasks.ts";
import { trlTokens } from "../../tuning/pair-tokens-config.ts";
import {
  analysisPairs,
  heldOutPairs,
  type PairCounts,
  type PairRecord,
  readPairCounts,
  readPairs,
  tuningPairs,
} from "../artifacts/pairs.ts";
import { preparePairsStage } from "./prepare-pairs.ts";

let folder: string;
/** The starter's tokenizer with a chat template that refuses systems, as Gemma's does. */
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lfp-prepare-pairs-"));
  model = join(folder, "model");
  await mkdir(model);
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    await copyFile(join(starterFolder(), name), join(model, name));
  await writeFile(
    join(model, "chat_template.jinja"),
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" +
      "<{{ m['role'] }}>{{ m['content'] }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
  );
});
afterAll(() => rm(folder, { recursive: true }));

interface Prepared {
  readonly counts: PairCounts;
  readonly tuning: readonly PairRecord[];
  readonly heldOut: readonly PairRecord[];
  readonly analysis: readonly PairRecord[];
  readonly messages: readonly string[];
}

async function prepare(
  name: string,
  data: readonly object[],
  { analysis, heldOut, task = "pairs" }: { analysis?: readonly object[]; heldOut: number; task?: PairTask },
): Promise<Prepared> {
  const put = async (file: string, rows: readonly object[]): Promise<string> => {
    const own = join(folder, name, file);
    await mkdir(own, { recursive: true });
    await writeFile(join(own, "pairs.jsonl"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
    return join(own, "pairs.jsonl");
  };
  const output = join(folder, name, "out");
  await mkdir(output, { recursive: true });
  const messages: string[] = [];
  const inputs: Record<string, string> = { model, data0: await put("data", data) };
  if (analysis !== undefined) inputs["analysis0"] = await put("analysis", analysis);
  const context = stageContext<Parameters<typeof preparePairsStage.run>[0]["settings"], string>({
    settings: {
      data: { files: ["data0"], limit: null },
      heldOut,
      analysis: analysis === undefined ? null : { files: ["analysis0"], limit: null },
      task,
      tokens: trlTokens,
    },
    inputs,
    output,
    message: (text) => messages.push(text),
  });
  await preparePairsStage.run(context);
  return {
    counts: await readPairCounts(output),
    tuning: await readPairs(output, tuningPairs),
    heldOut: await readPairs(output, heldOutPairs),
    analysis: await readPairs(output, analysisPairs),
    messages,
  };
}

const text = (prompt: string, at = 0) => ({ prompt, chosen: ` yes ${at}`, rejected: ` no ${at}` });

it("messages are written out by the model's template, and rows that it refuses are counted", async () => {
  const user = { role: "user", content: "How?" };
  const answers = (at: number) => ({
    chosen: [{ role: "assistant", content: `So ${at}.` }],
    rejected: [{ role: "assistant", content: `No ${at}.` }],
  });
  const rows = [
    { prompt: [user], ...answers(1) },
    { prompt: [{ role: "user", content: "Why?" }], ...answers(2) },
    { prompt: [{ role: "system", content: "Be kind." }, user], ...answers(3) },
  ];
  const { counts, tuning, heldOut, messages } = await prepare("template", rows, { heldOut: 1 });
  expect(counts.read.data).toMatchObject({ rows: 3, forms: { template: 2 }, refused: 1, rules: { given: 3 } });
  const pairs = [...tuning, ...heldOut];
  expect(pairs.map(({ form }) => form)).toEqual(["template", "template"]);
  expect(pairs).toContainEqual(
    expect.objectContaining({ prompt: "<user>How?</><assistant>", chosen: "So 1.</>", rejected: "No 1.</>" }),
  );
  expect(messages).toEqual([]);
});

it("analysis pairs with prompts of the tuning data are not held out, and names tell both sources apart", async () => {
  const data = Array.from({ length: 6 }, (_, at) => text(`Film ${at}?`, at));
  const analysis = [text("Film  2? ", 7), text("Film 8?", 8), text("Film 9?", 9)];
  const { tuning, heldOut, analysis: all } = await prepare("analysis", data, { analysis, heldOut: 0 });
  expect(tuning).toHaveLength(6);
  expect(new Set(heldOut.map(({ prompt }) => prompt))).toEqual(new Set(["Film 8?", "Film 9?"]));
  expect(all).toHaveLength(3);
  expect(new Set([...tuning, ...all].map(({ id }) => id)).size).toBe(9);
  await expect(prepare("same", data, { analysis: data.slice(0, 2), heldOut: 0 })).rejects.toThrow(
    /all 2 pairs of the analysis data have prompts that the tuning data has too/,
  );
});

it("a task on harmful data says so once, without a text of it", async () => {
  const { messages } = await prepare("toxic", [text("One?"), text("Two?")], { heldOut: 1, task: "toxicity" });
  expect(messages).toEqual([expect.stringMatching(/harmful text.*run's folder holds it/)]);
});

it("lengths are those of the answers' tokens", async () => {
  const rows = [
    { prompt: "Film?", chosen: " good good good good", rejected: " bad" },
    { prompt: "Book?", chosen: " good", rejected: " good bad" },
    { prompt: "Play?", chosen: " good bad", rejected: " bad good" },
  ];
  const { counts } = await prepare("lengths", rows, { heldOut: 1 });
  const { lengths, longerChosen, equallyLong, pairs } = counts.sets.analysis;
  // Each word is a token of its own, and the end of the text is one more.
  expect(lengths.chosen).toEqual({ mean: (5 + 2 + 3) / 3, median: 3, min: 2, max: 5 });
  expect(lengths.rejected).toEqual({ mean: (2 + 3 + 3) / 3, median: 3, min: 2, max: 3 });
  expect({ longerChosen, equallyLong, pairs }).toEqual({ longerChosen: 1, equallyLong: 1, pairs: 3 });
});
