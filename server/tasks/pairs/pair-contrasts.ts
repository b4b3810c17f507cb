/** Contrasts of pairs of answers, made without a language model. */
import { byCodeUnit } from "../../common/order.ts";
import { Random } from "../../common/random.ts";
import type { Contrast } from "../contrast.ts";
import type { Span } from "../task.ts";

/** Two answers to a prompt, as texts that a model reads one after the other. */
export interface AnsweredPair {
  readonly id: string;
  /** Name of the prompt. */
  readonly group: string;
  readonly prompt: string;
  readonly chosen: string;
  readonly rejected: string;
}

/**
 * The pairs as contrasts, in their order; of more than `limit`, a random sample. Positive is the chosen answer after
 * its prompt, since that is what tuning rewards (for toxicity the harmful one: against helpful-harmless, positive and
 * negative have changed places, as in the paper); negative is the rejected one. Neutral is an answer to another prompt,
 * of about the pair's length; absent where there is no other prompt.
 */
export function pairContrasts(
  pairs: readonly AnsweredPair[],
  { seed, limit }: { readonly seed: number; readonly limit: number | null },
): Contrast[] {
  const random = Random.fromSeed(seed);
  const drawn = random
    .fork("pairs")
    .shuffled([...pairs.keys()])
    .slice(0, limit ?? pairs.length);
  const chosen = new Set(drawn);
  const own = pairs.filter((_, at) => chosen.has(at));
  const neutralOf = neutrals(own, random.fork("neutral"));
  return own.map((pair) => {
    const neutral = neutralOf(pair);
    return {
      id: pair.id,
      source: pair.id,
      group: pair.group,
      positive: answered(pair.prompt, pair.chosen),
      ...(neutral === undefined ? {} : { neutral: answered(pair.prompt, neutral) }),
      negative: answered(pair.prompt, pair.rejected),
    };
  });
}

function answered(prompt: string, answer: string): Span {
  return { text: prompt + answer, start: prompt.length, end: prompt.length + answer.length };
}

/** Number of answers nearest in length of which one is drawn. */
const NEAREST = 8;

/** Draws for a pair one of the answers to other prompts that are nearest to it in length. */
function neutrals(pairs: readonly AnsweredPair[], random: Random): (pair: AnsweredPair) => string | undefined {
  const answers = pairs
    .flatMap(({ group, chosen, rejected }) => [chosen, rejected].map((text) => ({ group, text })))
    .sort((a, b) => a.text.length - b.text.length || byCodeUnit(a.text, b.text));
  return ({ group, chosen, rejected }) => {
    const length = (chosen.length + rejected.length) / 2;
    let above = firstAtLeast(answers, length);
    let below = above - 1;
    const nearest: string[] = [];
    while (nearest.length < NEAREST && (below >= 0 || above < answers.length)) {
      const far = (at: number): number => Math.abs((answers[at]?.text.length ?? Number.POSITIVE_INFINITY) - length);
      const found = answers[far(below) <= far(above) ? below-- : above++];
      if (found !== undefined && found.group !== group) nearest.push(found.text);
    }
    return nearest.length === 0 ? undefined : nearest[random.integer(nearest.length)];
  };
}

/** Index of the first answer of at least this length. */
function firstAtLeast(answers: readonly { readonly text: string }[], length: number): number {
  let [low, high] = [0, answers.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((answers[middle]?.text.length ?? 0) < length) low = middle + 1;
    else high = middle;
  }
  return low;
}
