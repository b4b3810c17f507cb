/** A DPO trainer's state as plain data and bytes, in the form in which a stage of the pipeline saves its checkpoints. */

import { z } from "zod";
import { schemaProblems } from "../common/schema-problems.ts";
import type { DpoConfig } from "./dpo-config.ts";
import type { PairLogProbs } from "./pair-batch.ts";
import type { TokenPair } from "./token-pair.ts";
import type { tensorsFile } from "./trainer-state.ts";
import { TrainerStateError } from "./tuning-errors.ts";

/** A trainer's state apart from its tensors. */
export const DpoProgress = z
  .strictObject({
    /** Number of steps done. */
    steps: z.int().nonnegative(),
    /** Seed of the order of pairs. */
    seed: z.tuple([z.int(), z.int(), z.int(), z.int()]).readonly(),
    /** Rewards of the last steps, which are checked against the bounds of `stop`. */
    recent: z.array(z.strictObject({ margin: z.number(), chosen: z.number() })).readonly(),
  })
  .readonly();
export type DpoProgress = z.infer<typeof DpoProgress>;

/** File of the reference's summed log-probabilities by pair, chosen and rejected, as float32 in memory order. */
export const referenceFile = "reference.f32";

/** A trainer's state. Save it before the trainer's next step: tensors are read from the device only when requested. */
export interface DpoState {
  readonly state: DpoProgress;
  readonly files: { readonly [tensorsFile]: AsyncIterable<Uint8Array>; readonly [referenceFile]: Uint8Array };
}

/** Parses a saved state. Throws `TrainerStateError` if no trainer saved it. */
export function parseDpoProgress(state: unknown): DpoProgress {
  const parsed = DpoProgress.safeParse(state);
  if (!parsed.success) throw new TrainerStateError(`not the state of a DPO run: ${schemaProblems(parsed.error)}`);
  return parsed.data;
}

export function referenceBytes(reference: readonly PairLogProbs[]): Uint8Array {
  return new Uint8Array(Float32Array.from(reference.flatMap(({ chosen, rejected }) => [chosen, rejected])).buffer);
}

/** The inverse of `referenceBytes`. Throws `TrainerStateError` if the bytes do not fit these pairs. */
export function referenceFrom(
  bytes: Uint8Array,
  { pairs, config }: { readonly pairs: readonly TokenPair[]; readonly config: Pick<DpoConfig, "reference"> },
): PairLogProbs[] {
  const expected = config.reference === "once" ? 8 * pairs.length : 0;
  if (bytes.length !== expected)
    throw new TrainerStateError(
      `the saved state has ${bytes.length} bytes of the reference's log-probabilities; these pairs have ${expected}: it belongs to other pairs`,
    );
  const values = new Float32Array(Uint8Array.from(bytes).buffer);
  return Array.from({ length: values.length / 2 }, (_, at) => ({
    chosen: values[2 * at] ?? Number.NaN,
    rejected: values[2 * at + 1] ?? Number.NaN,
  }));
}
