/** A trainer's state as plain data and bytes, in the form in which a stage of the pipeline saves its checkpoints. */

import { z } from "zod";
import { schemaProblems } from "../common/schema-problems.ts";
import type { tensorsFile } from "./trainer-state.ts";
import { TrainerStateError } from "./tuning-errors.ts";

const randomState = z.tuple([z.int(), z.int(), z.int(), z.int()]).readonly();

/** A trainer's state apart from its tensors. */
export const PpoProgress = z
  .strictObject({
    /** Number of PPO steps done. */
    steps: z.int().nonnegative(),
    /** Number of mini-batches done: AdamW's step number. */
    optimizerSteps: z.int().nonnegative(),
    klCoefficient: z.number().nonnegative(),
    /** Seed of the order of prompts. */
    seed: randomState,
    /** State of the stream of lengths, samples and mini-batches. */
    random: randomState,
  })
  .readonly();
export type PpoProgress = z.infer<typeof PpoProgress>;

/** A trainer's state. Save it before the trainer's next step: tensors are read from the device only when requested. */
export interface PpoState {
  readonly state: PpoProgress;
  readonly files: { readonly [tensorsFile]: AsyncIterable<Uint8Array> };
}

/** Parses a saved state. Throws `TrainerStateError` if no trainer saved it. */
export function parseProgress(state: unknown): PpoProgress {
  const parsed = PpoProgress.safeParse(state);
  if (!parsed.success) throw new TrainerStateError(`not the state of a PPO run: ${schemaProblems(parsed.error)}`);
  return parsed.data;
}
