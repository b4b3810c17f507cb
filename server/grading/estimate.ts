/** Estimates what grading would cost, from the questions themselves, without sending anything. */
import type { Asked } from "../endpoint/outcome.ts";
import type { Usage } from "../endpoint/spend.ts";
import type { Asker } from "./grade-pair.ts";
import { type GradingQuestion, inputTokensOf } from "./questions.ts";

export interface CostEstimate extends Usage {
  readonly requests: number;
}

/** Counts what asking would cost, and goes on with the cached answers, and elsewhere with the usual ones. */
export class Estimator implements Asker {
  readonly #known: <T>(question: GradingQuestion<T>) => Asked<T> | undefined;
  #requests = 0;
  #inputTokens = 0;
  #outputTokens = 0;

  constructor(known: <T>(question: GradingQuestion<T>) => Asked<T> | undefined) {
    this.#known = known;
  }

  ask<T>(question: GradingQuestion<T>): Promise<Asked<T>> {
    const known = this.#known(question);
    if (known !== undefined) return Promise.resolve(known);
    this.#requests += 1;
    this.#inputTokens += inputTokensOf(question);
    this.#outputTokens += question.assumed.outputTokens;
    return Promise.resolve({ kind: "answer", value: question.assumed.value, source: null });
  }

  get estimate(): CostEstimate {
    return { requests: this.#requests, inputTokens: this.#inputTokens, outputTokens: this.#outputTokens };
  }
}
