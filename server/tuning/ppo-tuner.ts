import type { Checkpoint } from "../runs/stage.ts";
import { openPolicy } from "./policy.ts";
import { createPpoTrainer, type PpoTrainer } from "./ppo.ts";
import type { PpoConfig } from "./ppo-config.ts";
import { makePrompts } from "./prompts.ts";
import type { TunerInput } from "./tuner.ts";

/**
 * Opens a PPO tuner on the beginnings of the texts. Throws what `makePrompts`, `createPpoTrainer` and
 * `PpoTrainer.restore` throw.
 */
export async function openPpoTuner(input: TunerInput, config: PpoConfig, saved?: Checkpoint): Promise<PpoTrainer> {
  const { texts, tokenizer, reference, sampling, text, random } = input;
  const options = { ...sampling, ...text, bosId: reference.config.bosId };
  const prompts = makePrompts(texts, tokenizer, options, random.fork("prompts"));
  const policy = await openPolicy(input, config.lora, random.fork("adapters"));
  const trainer = await createPpoTrainer({ ...input, policy, prompts, config });
  if (saved !== undefined) await trainer.restore(saved);
  return trainer;
}
