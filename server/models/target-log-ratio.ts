/** The learned reward of chosen tokens. Letters: B texts, T tokens per text, R requested tokens. */
import { invariant } from "../common/errors.ts";
import type { Device, Program } from "../engine/device.ts";
import type { Node } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { idsNames, logRatioNodes, type ModelPair, pairInputs, pairMatrices, sharedVocabulary } from "./log-ratio.ts";
import { forward } from "./model.ts";

/** A candidate for the next token: `id` after the token at `place`. */
export interface NextToken {
  /** Which of the texts. */
  readonly text: number;
  readonly place: number;
  readonly id: number;
}

/**
 * log pi_tuned(id | text up to place) - log pi_base(the same), in nats, as in `LogRatioScorer`, but only for requested
 * tokens: it computes logits for these alone, and they need not occur in the text.
 */
export class NextTokenLogRatios {
  readonly #program: Program;
  readonly #shape: readonly [B: number, T: number];
  readonly #most: number;
  readonly #pair: ModelPair;

  private constructor(program: Program, pair: ModelPair, shape: readonly [number, number], most: number) {
    this.#program = program;
    this.#pair = pair;
    this.#shape = shape;
    this.#most = most;
  }

  /** For R = `most` tokens of a run. Throws `ContextLengthError`, and what `Device.compile` throws. */
  static async create(
    device: Device,
    pair: ModelPair,
    { shape, most }: { readonly shape: readonly [B: number, T: number]; readonly most: number },
  ): Promise<NextTokenLogRatios> {
    const [B, T] = shape;
    const places = ops.input("places", [most], "i32");
    const hiddenOf = (which: keyof ModelPair): Node => {
      const { hidden } = forward(pair[which], { shape, idsName: idsNames[which] });
      return ops.embedding(ops.reshape(hidden, [B * T, -1]), places);
    };
    const hidden = { tuned: hiddenOf("tuned"), base: hiddenOf("base") };
    const outputs = logRatioNodes(pair, hidden, ops.reshape(ops.input("targets", [most], "i32"), [most, 1]));
    const stores = [pair.tuned.store, pair.base.store];
    const program = await device.compile({ stores, outputs, frozen: pairMatrices(pair) });
    return new NextTokenLogRatios(program, pair, shape, most);
  }

  /** One entry per token, at most R; NaN for one that only one of the models has. */
  async score(texts: readonly Int32Array[], tokens: readonly NextToken[]): Promise<Float32Array> {
    const [, T] = this.#shape;
    const inputs = pairInputs(this.#pair, texts, this.#shape);
    invariant(tokens.length <= this.#most, `${tokens.length} tokens were asked of a program for ${this.#most}`);
    const vocabulary = sharedVocabulary(this.#pair);
    const isShared = (id: number): boolean => id < vocabulary;
    const places = new Int32Array(this.#most);
    const targets = new Int32Array(this.#most);
    for (const [at, { text, place, id }] of tokens.entries()) {
      const length = texts[text]?.length ?? 0;
      invariant(place >= 0 && place < length, `place ${place} of a text of ${length} tokens`);
      places[at] = text * T + place;
      targets[at] = isShared(id) ? id : 0;
    }
    const { logRatio } = await this.#program.run({ ...inputs, places, targets });
    invariant(logRatio instanceof Float32Array, "a log-ratio program gave no log-ratios");
    return Float32Array.from(tokens, ({ id }, at) => (isShared(id) ? (logRatio[at] ?? Number.NaN) : Number.NaN));
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
  }
}
