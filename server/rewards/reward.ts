import { invariant } from "../common/errors.ts";

/** A prompt and a model's completion of it. */
export interface Completion {
  readonly prompt: string;
  readonly completion: string;
}

/** The text that feedback judges: the completion alone, or prompt and completion as one text. */
export type JudgedText = "completion" | "full";

/** A source of feedback on whole texts. Dispose it after use: it may hold a model. */
export interface Reward extends AsyncDisposable {
  /** Name of the source and its variant, such as "vader/head". */
  readonly name: string;
  /**
   * Scores a batch: one reward a completion, in their order, after scaling and clamping. Equal completions get equal
   * rewards, independent of the rest of the batch. Rejects with the signal's reason.
   */
  score(batch: readonly Completion[], signal?: AbortSignal): Promise<Float64Array>;
  /** The rewards that it is a weighted sum of, if it is one; it disposes them. */
  readonly parts?: readonly RewardPart[];
}

/** A reward that is weighed with others. */
export interface RewardPart {
  readonly name: string;
  readonly weight: number;
  readonly reward: Reward;
}

/** A reward that scores single texts synchronously and holds no resources. */
export function plainReward(name: string, text: JudgedText, scoreText: (text: string) => number): Reward {
  return {
    name,
    score: async (batch, signal) => {
      signal?.throwIfAborted();
      return Float64Array.from(batch, (one) => scoreText(judgedText(one, text)));
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** The rewards of a batch, one a completion. Throws what the reward throws. */
export async function scoresOf(
  reward: Reward,
  batch: readonly Completion[],
  signal?: AbortSignal,
): Promise<Float64Array> {
  const scores = await reward.score(batch, signal);
  invariant(
    scores.length === batch.length,
    `reward "${reward.name}" gave ${scores.length} numbers for ${batch.length} completions`,
  );
  return scores;
}

/** The mean rewards of a batch by the parts of a weighted reward, by name and without weights; none of another one. */
export async function partMeansOf(
  { parts = [] }: Reward,
  batch: readonly Completion[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const means = new Map<string, number>();
  for (const { name, reward } of parts) {
    const scores = await scoresOf(reward, batch, signal);
    means.set(name, scores.reduce((sum, score) => sum + score, 0) / batch.length);
  }
  return means;
}

/** The text to judge. */
export function judgedText({ prompt, completion }: Completion, text: JudgedText): string {
  return text === "full" ? prompt + completion : completion;
}
