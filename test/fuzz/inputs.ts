/**
 * `node test/fuzz/inputs.ts --minutes N [--seed S]`: random and mutated configs, names of tensors and replies of endpoints. Each must be taken or refused
 * by an error of ours that names what is wrong, within a second. Ends with one line of JSON.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LfpError, messageOf } from "../../server/common/errors.ts";
import { Random } from "../../server/common/random.ts";
import { firstForm, weakerForm } from "../../server/endpoint/forms.ts";
import { jsonIn } from "../../server/endpoint/json-text.ts";
import { readReply } from "../../server/endpoint/reply.ts";
import { saidBy } from "../../server/endpoint/transport.ts";
import type { ModelConfig } from "../../server/models/architectures.ts";
import { namesIn } from "../../server/models/checkpoint-names.ts";
import { parseConfig } from "../../server/models/config.ts";
import { parametersOf } from "../../server/models/model.ts";
import { modelFolder, ORACLE_MODELS } from "../conformance/fixtures.ts";
import { junk, mutate, pick, words } from "./junk.ts";

export interface InputReport {
  readonly seed: number;
  readonly cases: number;
  /** By kind of input: how many were taken and how many refused. */
  readonly outcomes: Readonly<Record<string, { taken: number; refused: number }>>;
  readonly faults: readonly string[];
}

interface Kind {
  readonly name: string;
  /** True where the input was taken. */
  readonly run: (random: Random) => boolean;
}

const configs = ORACLE_MODELS.map(
  (model): Record<string, unknown> => JSON.parse(readFileSync(join(modelFolder(model), "config.json"), "utf8")),
);
const reply = {
  choices: [
    { index: 0, finish_reason: "stop", message: { role: "assistant", content: '{"answers": [0, 1]}', refusal: null } },
  ],
  usage: { prompt_tokens: 100, completion_tokens: 10 },
};
const refusals = [
  { error: { message: "response_format is not supported", code: 400 } },
  { object: "error", message: "max_tokens is not supported" },
  { error: { message: "the maximum context length is 512 tokens", code: "context_length_exceeded" } },
  { detail: [{ loc: ["body", "seed"], msg: "Extra inputs are not permitted" }] },
];
const pieces = [
  "<think>",
  "</think>",
  "```json",
  "{",
  "}",
  '"',
  "\\",
  '{"answers": [1]}',
  "[THINK]",
  "[/THINK]",
  "<|channel|>",
];

const kinds: readonly Kind[] = [
  { name: "config", run: (random) => refusedByName(() => parseConfig(changedConfig(random), "config.json")) },
  { name: "tensor names", run: (random) => refusedByName(() => namesOf(random)) },
  {
    name: "reply",
    run: (random) => readReply(textOf(random, changed(random, reply))).kind === "answer",
  },
  {
    name: "refusal",
    run: (random) => {
      const body = textOf(random, changed(random, pick(random, refusals)));
      if (typeof saidBy(body) !== "string") throw new TypeError("no words");
      // Weaker and weaker forms come to an end.
      let steps = 0;
      for (let form = weakerForm(firstForm(0), { body }); form !== undefined; form = weakerForm(form, { body }))
        steps++;
      if (steps > 6) throw new RangeError(`${steps} forms were tried`);
      return steps > 0;
    },
  },
  {
    name: "answer",
    run: (random) => {
      const text = Array.from({ length: random.integer(60) }, () =>
        random.integer(2) === 0 ? pick(random, pieces) : words(random, 3),
      ).join("");
      return jsonIn(text.repeat(1 + random.integer(200))).length > 0;
    },
  },
];

/** Works through inputs of all kinds for so long, and longer where by then there were fewer than `least`. */
export function fuzzInputs({
  seed,
  seconds,
  least = 0,
}: {
  readonly seed: number;
  readonly seconds: number;
  readonly least?: number;
}): InputReport {
  const random = Random.fromSeed(seed);
  const outcomes: Record<string, { taken: number; refused: number }> = {};
  const faults: string[] = [];
  const endMs = performance.now() + 1000 * seconds;
  let cases = 0;
  for (; (cases < least || performance.now() < endMs) && faults.length < 20; cases++) {
    const kind = pick(random, kinds);
    const tally = outcomes[kind.name] ?? { taken: 0, refused: 0 };
    outcomes[kind.name] = tally;
    const began = performance.now();
    try {
      tally[kind.run(random) ? "taken" : "refused"] += 1;
    } catch (error) {
      faults.push(`${kind.name}, case ${cases}: ${messageOf(error).slice(0, 300)}`);
    }
    const ms = performance.now() - began;
    if (ms > 1000) faults.push(`${kind.name}, case ${cases}: took ${Math.round(ms)} ms`);
  }
  return { seed, cases, outcomes, faults };
}

/** False for an error of ours that says something; other errors are faults. */
function refusedByName(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof LfpError && error.code !== "internal" && error.message.length > 10) return false;
    throw error;
  }
}

function changed(random: Random, value: unknown): unknown {
  let found = value;
  for (let times = random.integer(4); times > 0; times--) found = mutate(random, found);
  return found;
}

/** An object still, as whoever reads the file makes sure. */
function changedConfig(random: Random): Record<string, unknown> {
  const original = pick(random, configs);
  const found = changed(random, original);
  const fields = typeof found === "object" && found !== null && !Array.isArray(found) ? found : original;
  const ropes = [{ type: "linear", factor: 4 }, { rope_type: "default" }, {}, null, junk(random)];
  return random.integer(3) === 0 ? { ...fields, rope_scaling: pick(random, ropes) } : { ...fields };
}

/** Names as another program may have saved them. */
function namesOf(random: Random): unknown {
  const config: ModelConfig = parseConfig(pick(random, configs), "config.json");
  const specs = parametersOf(config);
  const rename = pick(random, [
    (name: string) => name,
    (name: string) => name.replace(/^(gpt_neox|transformer|model)\./, ""),
    (name: string) => name.replace("embed_out", "lm_head"),
    (name: string) => `module.${name}`,
    (name: string) => (random.integer(20) === 0 ? String(junk(random)) : name),
  ]);
  const tensors = new Map(
    specs.map(({ name, shape }) => {
      const held = rename(name);
      return [held, { name: held, dtype: "F32" as const, shape, byteStart: 0, byteEnd: 0 }];
    }),
  );
  return namesIn({ path: "model.safetensors", tensors }, specs, config);
}

function textOf(random: Random, value: unknown): string {
  const text = JSON.stringify(value);
  if (random.integer(4) > 0) return text;
  const at = random.integer(text.length + 1);
  return random.integer(2) === 0 ? text.slice(0, at) : text.slice(0, at) + words(random, 3) + text.slice(at);
}

if (process.argv[1] === import.meta.filename) {
  const options = { minutes: { type: "string", default: "1" }, seed: { type: "string", default: "1" } } as const;
  const { values } = parseArgs({ options });
  const report = fuzzInputs({ seed: Number(values.seed), seconds: 60 * Number(values.minutes) });
  console.log(JSON.stringify(report));
  if (report.faults.length > 0) process.exitCode = 1;
}
