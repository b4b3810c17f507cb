/**
 * A small training of dictionaries on a model of random weights, to measure its memory. As a program it takes two steps
 * and prints the process's largest resident memory, in KiB.
 */
import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { createModel } from "../../server/models/checkpoint.ts";
import { parseConfig } from "../../server/models/config.ts";
import { defaultSite } from "../../server/models/sites.ts";
import { parseExperiment } from "../../server/pipeline/experiment/resolve.ts";
import type { SubjectModel } from "../../server/sae/activation-buffer.ts";
import { createSaeTrainer, type SaeTrainer } from "../../server/sae/trainer.ts";

const shape = {
  model_type: "gpt_neox",
  vocab_size: 2048,
  hidden_size: 128,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  intermediate_size: 512,
  max_position_embeddings: 128,
};
const layers = [1, 2];
const tokens = { contextLength: 128, batchTokens: 4096, bufferTokens: 16_384 };

export const dictionaryModel = parseConfig(shape, "config");
export const dictionaryExperiment = parseExperiment({
  preset: "quick",
  divergence: { layers },
  sae: { ...tokens, multiples: [4, 8] },
});

/** Opens the training, with texts that fill its buffer. */
export async function openDictionaryTraining(device: Device): Promise<SaeTrainer> {
  const random = Random.fromSeed(1);
  const models: SubjectModel[] = [];
  for (const name of ["base", "tuned"]) models.push({ name, model: await createModel(device, shape, random) });
  const texts = Array.from({ length: tokens.bufferTokens / tokens.contextLength }, () =>
    Int32Array.from({ length: tokens.contextLength }, () => random.integer(shape.vocab_size)),
  );
  return createSaeTrainer({
    device,
    models,
    layers,
    site: defaultSite,
    config: dictionaryExperiment.sae,
    texts,
    random,
  });
}

if (import.meta.main) {
  const device = await createCpuDevice({ threads: 2 });
  const trainer = await openDictionaryTraining(device);
  for (let updates = 0; updates < 2; ) if ((await trainer.step())?.kind === "update") updates += 1;
  process.stdout.write(String(process.resourceUsage().maxRSS));
  await device.close();
}
