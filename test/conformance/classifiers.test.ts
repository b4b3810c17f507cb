/** Text classifiers and reward models against transformers, on every device. */
import { cp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { starterFolder } from "../../server/common/package-root.ts";
import type { Device } from "../../server/engine/device.ts";
import { Classifier } from "../../server/models/classifier.ts";
import { classifierParts } from "../../server/models/classifiers/kinds.ts";
import { scratchFolder } from "../unit/runs/scratch.ts";
import { devicesUnderTest } from "./devices.ts";

const fixtures = fileURLToPath(new URL("../fixtures/classifiers/", import.meta.url));
const oracleSchema = z.array(
  z.object({ text: z.string(), ids: z.array(z.int()), logits: z.array(z.number()).nullable() }),
);

const kinds = [
  { name: "distilbert", labels: ["NEGATIVE", "POSITIVE"] },
  { name: "bert", labels: ["LABEL_0"] },
  { name: "gpt-neox", labels: ["LABEL_0"] },
  { name: "gpt2", labels: ["negative", "neutral", "positive"] },
  { name: "roberta", labels: ["negative", "neutral", "positive"] },
] as const;
/** Run on the CPU, whatever the device. */
const onnx = { name: "onnx-electra", labels: ["calm", "angry"] } as const;
const withStarterTokenizer: readonly string[] = ["gpt-neox", "gpt2"];

/** A copy of a stored classifier; those on a language model have the starter's tokenizer. */
async function copyOf(name: string): Promise<string> {
  const folder = await scratchFolder();
  await cp(join(fixtures, name), folder, { recursive: true });
  if (withStarterTokenizer.includes(name))
    for (const file of ["tokenizer.json", "tokenizer_config.json"])
      await cp(join(starterFolder(), file), join(folder, file));
  return folder;
}

async function oracleOf(name: string) {
  return oracleSchema.parse(JSON.parse(await readFile(join(fixtures, name, "oracle.json"), "utf8")));
}

const subjects = devicesUnderTest.flatMap((device) => [...kinds, onnx].map((kind) => ({ ...kind, ...device })));

describe.each(subjects)("$name on $kind", ({ name, labels, open }) => {
  let device: Device;
  let classifier: Classifier;
  beforeAll(async () => {
    device = await open();
    classifier = await Classifier.load(device, await copyOf(name));
  });
  afterAll(async () => {
    await classifier[Symbol.asyncDispose]();
    await device.close();
  });

  it("gives texts the logits of transformers, whatever is beside them", async () => {
    expect(classifier.labels).toEqual(labels);
    const oracle = await oracleOf(name);
    const L = labels.length;
    const logits = await classifier.logits(oracle.map(({ text }) => text));
    for (const [at, { text, logits: wanted }] of oracle.entries())
      for (const [label, value] of (wanted ?? new Array<number>(L).fill(0)).entries())
        expect(Math.abs((logits[at * L + label] ?? Number.NaN) - value), JSON.stringify(text)).toBeLessThan(1e-4);
    const alone = await classifier.logits([oracle[4]?.text ?? ""]);
    expect([...alone]).toEqual([...logits.subarray(4 * L, 5 * L)]);
  });
});

describe("a classifier's folder", () => {
  it.each(kinds)("of $name gives texts the ids of transformers' tokenizer", async ({ name, labels }) => {
    const folder = await copyOf(name);
    const json: unknown = JSON.parse(await readFile(join(folder, "config.json"), "utf8"));
    const parts = await classifierParts(z.record(z.string(), z.unknown()).parse(json), folder, labels.length);
    for (const { text, ids } of await oracleOf(name)) expect(parts.encode(text), JSON.stringify(text)).toEqual(ids);
  });

  describe("that does not hold a classifier", () => {
    const [cpu] = devicesUnderTest;
    const edited = async (name: string, edit: (json: Record<string, unknown>) => void, file = "config.json") => {
      const folder = await copyOf(name);
      const json = z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(join(folder, file), "utf8")));
      edit(json);
      await writeFile(join(folder, file), JSON.stringify(json));
      return folder;
    };
    const refusal = async (folder: string): Promise<string> => {
      const device = await cpu?.open();
      if (device === undefined) throw new Error("there is no device");
      try {
        await using _ = await Classifier.load(device, folder);
        return "loaded";
      } catch (error) {
        return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      } finally {
        await device.close();
      }
    };

    it("is refused with what was found", async () => {
      expect(await refusal(starterFolder())).toMatch(/^ClassifierError: .*holds a GPTNeoXForCausalLM; expected a text/);
      expect(await refusal(join(fixtures, "nothing"))).toMatch(/^ConfigError: .*cannot be read as a classifier's/);
      const other = await edited("distilbert", (json) => Object.assign(json, { model_type: "deberta-v2" }));
      expect(await refusal(other)).toMatch(/^UnknownArchitectureError: .*'deberta-v2'.*supported are distilbert, bert/);
      for (const id2label of [{ 1: "a", 2: "b" }, { 0: "same", 1: "same" }, { 0: "", 1: "b" }, {}]) {
        const unclear = await edited("distilbert", (json) => Object.assign(json, { id2label }));
        expect(await refusal(unclear)).toMatch(/^ClassifierError: .*expected a different name for each of 0 to n - 1/);
      }
      const more = await edited("distilbert", (json) => Object.assign(json, { id2label: { 0: "a", 1: "b", 2: "c" } }));
      expect(await refusal(more)).toMatch(
        /tensor 'classifier\.weight' is \[2, 24\], but config.json asks for \[3, 24\]/,
      );
      const deeper = await edited("distilbert", (json) => Object.assign(json, { n_layers: 4 }));
      expect(await refusal(deeper)).toMatch(
        /tensor 'distilbert\.transformer\.layer\.3\.attention\.q_lin\.weight'.* is missing/,
      );
      const shallower = await edited("bert", (json) => Object.assign(json, { num_hidden_layers: 1 }));
      expect(await refusal(shallower)).toMatch(/belongs to no part of this classifier/);
      const placeless = await edited("roberta", (json) => Object.assign(json, { max_position_embeddings: 2 }));
      expect(await refusal(placeless)).toMatch(/^ConfigError: .*pad_token_id 1 leaves no position for a text/);
      const relative = await edited("bert", (json) => Object.assign(json, { position_embedding_type: "relative_key" }));
      expect(await refusal(relative)).toMatch(/^ConfigError: .*position_embedding_type/s);
      const heads = await edited("distilbert", (json) => Object.assign(json, { n_heads: 5 }));
      expect(await refusal(heads)).toMatch(/^ConfigError: .*width of 24 cannot be split over 5 heads/);
    });

    it("is refused without weights that can be read, and without a tokenizer", async () => {
      const folder = await copyOf("roberta");
      await rename(join(folder, "model.safetensors"), join(folder, "pytorch_model.bin"));
      expect(await refusal(folder)).toMatch(/^PickleRefusedError: .*pytorch_model\.bin.*safe_serialization=True/s);
      await rm(join(folder, "pytorch_model.bin"));
      expect(await refusal(folder)).toMatch(/^NoWeightsError: .*no model\.safetensors/);
      await rm(join(folder, "tokenizer.json"));
      expect(await refusal(folder)).toMatch(/^TokenizerNotFoundError: .*only vocab\.json and merges\.txt/);
      await writeFile(
        join(folder, "config.json"),
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
      );
      expect(await refusal(folder)).toMatch(/^LfsPointerError: /);
    });

    it("is refused with its tokenizer", async () => {
      const unigram = await edited(
        "distilbert",
        (json) => Object.assign(json, { model: { type: "Unigram", vocab: [] } }),
        "tokenizer.json",
      );
      expect(await refusal(unigram)).toMatch(/^ClassifierTokenizerError: .*no WordPiece tokenizer/);
      const pieces = await edited(
        "roberta",
        (json) => Object.assign(json, { normalizer: { type: "NFC" } }),
        "tokenizer.json",
      );
      expect(await refusal(pieces)).toMatch(/^ClassifierTokenizerError: .*no byte-level BPE tokenizer/);
      const small = await edited("distilbert", (json) => Object.assign(json, { vocab_size: 100 }));
      expect(await refusal(small)).toMatch(/^ConfigError: .*has ids up to 183, but config.json's vocab_size is 100/);
    });
  });
});
