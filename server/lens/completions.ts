/** Compares the tuned model's completions with and without an ablation. */
import * as ops from "../engine/ops.ts";
import { type ContinueOptions, continueTexts } from "../models/continue-texts.ts";
import type { CompareCompletions } from "../protocol/lens.ts";
import type { ParamsOf, ResultOf } from "../protocol/message.ts";
import { scoresOf } from "../rewards/reward.ts";
import type { ResolvedAblation } from "./ablation.ts";
import { ablationEdit, type EditedDictionaries } from "./graph.ts";
import type { LensSubject } from "./subject.ts";

export type CompletionRequest = Omit<ParamsOf<typeof CompareCompletions>, "ablation">;
export type ComparedCompletions = ResultOf<typeof CompareCompletions>;

export interface CompletionAblation {
  readonly resolved: ResolvedAblation;
  readonly dictionaries: EditedDictionaries;
}

/**
 * Continues the prompts twice from the same random numbers; without an ablation both completions are equal. Rewards
 * are those of the completions alone. Throws what `continueTexts` throws.
 */
export async function compareCompletions(
  subject: LensSubject,
  ablation: CompletionAblation | undefined,
  { prompts, ...sampling }: CompletionRequest,
  signal: AbortSignal,
): Promise<ComparedCompletions> {
  const { device, tuned: model, tokenizer, prefixIds } = subject;
  const options: ContinueOptions = { ...sampling, bos: prefixIds.length > 0, signal };
  const before = await continueTexts(device, { model, tokenizer }, prompts, options);
  const after =
    ablation === undefined
      ? before
      : await continueTexts(device, { model, tokenizer }, prompts, { ...options, edit: editOf(ablation) });
  const reward = await subject.reward();
  const scored = (texts: typeof before): Promise<Float64Array> =>
    scoresOf(
      reward,
      texts.map(({ prompt, text }) => ({ prompt, completion: text })),
      signal,
    );
  const [rewards, otherRewards] = [await scored(before), await scored(after)];
  const completions = before.map(({ prompt, text }, at) => ({
    prompt,
    before: text,
    after: after[at]?.text ?? "",
    rewardBefore: rewards[at] ?? null,
    rewardAfter: otherRewards[at] ?? null,
  }));
  return { completions };
}

/** The factors are constants of the graph here: each comparison compiles a generator anyway. */
function editOf({ resolved, dictionaries }: CompletionAblation): NonNullable<ContinueOptions["edit"]> {
  const { editActivations } = ablationEdit(dictionaries, (size, { layer, features }) =>
    ops.constant([features], resolved[size].get(layer) ?? new Float32Array(features)),
  );
  const edited = [...dictionaries.small.values(), ...dictionaries.big.values()];
  return { editActivations, stores: edited.map(({ store }) => store) };
}
