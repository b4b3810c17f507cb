/** Conversations over the wire: messages are read as the model's chat template writes them, and coloured where they stand. */
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import { loadModel } from "../../../server/models/checkpoint.ts";
import { loadTokenizer } from "../../../server/models/tokenizer.ts";
import { DescribeToken, ReadTokens, StrongestTokens } from "../../../server/protocol/lens.ts";
import { ChooseRun, ComparePair } from "../../../server/protocol/lens-state.ts";
import { scorePairs } from "../../../server/tuning/score-pairs.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const uri = "untitled:conversations";
const template =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'judge' %}{{ raise_exception('no judges') }}{% endif %}" +
  ">{{ m.content }}\n{{ eos_token }}{% endfor %}";
const conversation = [
  { role: "user", content: 'A "film" 😀?' },
  { role: "assistant", content: "A wonderful film.\nI loved it." },
  { role: "user", content: "And the end?" },
  { role: "assistant", content: "Awful." },
];
const contents = conversation.map(({ content }) => content);
const other = "A record of another kind, with words.";
const refused = "Not for this model.";
const rows = [{ messages: conversation }, { text: other }, { messages: [{ role: "judge", content: refused }] }];
const text = rows.map((row) => JSON.stringify(row)).join("\n");
/** As the template writes it. */
const written = `<|endoftext|>${contents.map((content) => `>${content}\n<|endoftext|>`).join("")}`;
const all = { uri, version: 1, ablation: null };
const whole = { ...all, ranges: [{ start: 0, end: 100_000 }], maxTokens: 10_000 };

let root: string;
let run: string;
let pair: { readonly tuned: string; readonly base: string };
/** By message the sum of log-ratios of its tokens, by the scorer that DPO trains with. */
let sums: readonly number[];
const clients: LspClient[] = [];

beforeAll(async () => {
  root = await scratchFolder();
  run = (await makeTinyRun(root)).folder;
  pair = { tuned: join(run, "tuned"), base: join(root, "base") };
  await writeFile(join(pair.tuned, "chat_template.jinja"), template);
  await copyFile(join(pair.base, "tokenizer_config.json"), join(pair.tuned, "tokenizer_config.json"));
  sums = await trueSums();
}, 120_000);

afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

async function trueSums(): Promise<number[]> {
  const tokenizer = await loadTokenizer(pair.base);
  const { ids, ranges } = tokenizer.encode(written, { addSpecialTokens: false, parseSpecialTokens: true });
  let end = 0;
  const pairs = contents.map((content) => {
    const start = written.indexOf(content, end);
    end = start + content.length;
    const own = [...ranges.keys()].filter((at) => (ranges[at]?.end ?? 0) > start && (ranges[at]?.start ?? 0) < end);
    const [first = 0, last = 0] = [own[0], own.at(-1)];
    const answer = { prompt: ids.slice(0, first), answer: ids.slice(first, last + 1) };
    return { chosen: answer, rejected: answer };
  });
  const device = await createCpuDevice({ threads: 1 });
  try {
    const scores: number[][] = [];
    for (const [folder, prefix] of [
      [pair.tuned, ""],
      [pair.base, "base."],
    ] as const) {
      const model = await loadModel(device, folder, { prefix });
      const scored = await scorePairs(device, model, pairs, { pairsAtOnce: pairs.length });
      scores.push(scored.map(({ chosen }) => chosen));
    }
    const [tuned = [], base = []] = scores;
    return tuned.map((value, at) => value - (base[at] ?? Number.NaN));
  } finally {
    await device.close();
  }
}

async function opened(choose: (client: LspClient) => Promise<unknown>): Promise<LspClient> {
  const client = await LspClient.start({
    options: { runsRoots: [join(root, "runs")], trusted: true, settings: { threads: 1 } },
    env: { LFP_STATE_DIR: await scratchFolder() },
  });
  clients.push(client);
  await choose(client);
  await client.open(uri, text, 1, "jsonl");
  return client;
}

const compared = (): Promise<LspClient> => opened((client) => client.ask(ComparePair, { ...pair, open: true }));
const lookedThrough = (): Promise<LspClient> => opened((client) => client.ask(ChooseRun, { runFolder: run }));

test("each message's learned reward is that of the conversation as the template writes it", async () => {
  const client = await compared();
  const { passages, unread } = await client.ask(ReadTokens, { ...whole, unit: "token", mode: { kind: "learned" } });
  const shown = passages.map(({ start, end }) => text.slice(start, end));
  expect(shown).toEqual([...contents.map((content) => JSON.stringify(content).slice(1, -1)), other]);
  for (const [at, { tokens, start, end }] of passages.slice(0, contents.length).entries()) {
    const sum = tokens.values.reduce<number>((total, value) => total + (value ?? Number.NaN), 0);
    expect(sum, shown[at]).toBeCloseTo(sums[at] ?? Number.NaN, 3);
    // No token of the template's, and every character of the message.
    expect(tokens.starts[0]).toBe(start);
    expect(tokens.ends.at(-1)).toBe(end);
  }
  expect(unread).toMatchObject([{ failure: { code: "input", message: expect.stringContaining("no judges") } }]);
  const { start, end } = unread[0] ?? { start: 0, end: 0 };
  expect(text.slice(start, end)).toBe(refused);
});

test("lists and means are of the messages alone", async () => {
  const client = await compared();
  const { tokens, count } = await client.ask(StrongestTokens, {
    ...all,
    unit: "token",
    mode: { kind: "learned" },
    limit: 100,
    familiarOnly: false,
    job: null,
  });
  expect(tokens.length).toBe(count);
  for (const token of tokens) expect(token.text).not.toMatch(/endoftext|assistant|messages|role/);
  expect(tokens.map((token) => token.text)).toEqual(expect.arrayContaining([expect.stringContaining("wonderful")]));
});

test("a run reads its messages in the same text, and a hover says the number that colours a word", async () => {
  const client = await lookedThrough();
  for (const kind of ["learned", "implicit"] as const) {
    const read = await client.ask(ReadTokens, { ...whole, unit: "word", mode: { kind } });
    const [, answer] = read.passages;
    const at = answer?.tokens.starts.findIndex((start) => text.startsWith("wonderful", start)) ?? -1;
    const offset = answer?.tokens.starts[at] ?? -1;
    const question = { ...all, offset, unit: "word", features: 3 } as const;
    const detail = await client.ask(DescribeToken, question);
    expect(detail?.text).toBe("wonderful");
    const value = { learned: detail?.learned?.logRatio, implicit: detail?.implicit }[kind];
    expect(value).toBeCloseTo(answer?.tokens.values[at] ?? Number.NaN, 6);
  }
});
