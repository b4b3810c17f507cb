import { type CommandResult, defineCommand } from "../cli/command.ts";
import { option } from "../cli/options.ts";
import { deviceOptions, withDevice } from "../cli/with-device.ts";
import { Random } from "../common/random.ts";
import type { Device } from "../engine/device.ts";
import * as ops from "../engine/ops.ts";
import { createModel, type LoadedModel } from "../models/checkpoint.ts";
import { defaultSampling, Generator } from "../models/generate.ts";
import { forward, logitsOf, plainPositions } from "../models/model.ts";
import { benchShapeNames, benchShapes } from "./shapes.ts";
import { BenchCheckError, medianSeconds, peakRssMB, rounded } from "./timing.ts";

export const benchGenerate = defineCommand({
  usage: "[options]",
  about:
    "Times sampling with the key-value cache: prompts of 2 to 9 tokens in one batch, exactly so many new tokens each, from the whole " +
    "distribution at temperature 1. Weights are random, numbers F32, the time a median after two warm-ups. Before that, greedy " +
    "continuations with the cache are checked against those without. test/bench/pytorch_generate.py times the same work in " +
    "transformers.",
  options: {
    shape: option.choice("SHAPE", "the model's size", benchShapeNames, "pythia-70m"),
    prompts: option.integer("prompts in the batch", 64, { min: 1, max: 4096 }),
    new: option.integer("new tokens for each prompt", 20, { min: 1 }),
    repeats: option.integer("timed repeats", 5, { min: 1 }),
    ...deviceOptions,
  },
  run: async ({ options, signal, note, env }): Promise<CommandResult> =>
    await withDevice({ ...options, signal, note, env }, async (device) => {
      const model = await createModel(device, benchShapes[options.shape], Random.fromSeed(1));
      const random = Random.fromSeed(2);
      const prompts = Array.from({ length: options.prompts }, (_, at) =>
        Int32Array.from(
          { length: shortest + (at % (longest - shortest + 1)) },
          () => 1 + random.integer(model.config.vocabSize - 1),
        ),
      );
      const generator = await Generator.create(device, model, {
        batch: prompts.length,
        promptTokens: longest,
        maxNewTokens: options.new,
        frozen: true,
      });
      note("checking greedy continuations");
      await checkGreedy(device, model, generator, prompts.slice(0, 4), Math.min(options.new, 6));
      note("timing sampling");
      const sampling = { ...defaultSampling, minNewTokens: options.new, maxNewTokens: options.new };
      const seconds = await medianSeconds(
        async () => checkLengths(await generator.generate(prompts, sampling, random), options.new),
        { repeats: options.repeats, signal },
      );
      const newTokensPerSecond = rounded((prompts.length * options.new) / seconds);
      const json = {
        name: "generate",
        check: "ok",
        device: device.kind,
        model: `${options.shape}-shape`,
        newTokensPerSecond,
      };
      return {
        json: { ...json, peakRssMB: peakRssMB() },
        text: `${json.model} on ${device.description}; check passed\nsampling   ${newTokensPerSecond} new tokens/s\npeak       ${peakRssMB()} MB`,
      };
    }),
});

/** As in test/bench/pytorch_generate.py. */
const shortest = 2;
const longest = 9;

function checkLengths(continuations: readonly { readonly ids: Int32Array }[], expected: number): void {
  for (const { ids } of continuations)
    if (ids.length !== expected)
      throw new BenchCheckError("the number of new tokens", String(ids.length), String(expected));
}

/** Checks greedy continuations against whole forward passes over growing texts, without a cache. */
async function checkGreedy(
  device: Device,
  model: LoadedModel,
  generator: Generator,
  prompts: readonly Int32Array[],
  newTokens: number,
): Promise<void> {
  const options = { ...defaultSampling, temperature: 0, minNewTokens: 0, maxNewTokens: newTokens };
  const cached = await generator.generate(prompts, options, Random.fromSeed(1));
  const [B, T] = [prompts.length, longest + newTokens];
  const logits = logitsOf(model, forward(model, { shape: [B, T] }).hidden);
  const program = await device.compile({ stores: [model.store], outputs: { best: ops.topKIndices(logits, 1) } });
  const ids = new Int32Array(B * T);
  for (const [row, prompt] of prompts.entries()) ids.set(prompt, row * T);
  for (let step = 0; step < newTokens; step++) {
    const { best = [] } = await program.run({ ids, positions: plainPositions([B, T]) });
    for (const [row, prompt] of prompts.entries()) {
      const place = row * T + prompt.length + step;
      ids[place] = best[place - 1] ?? -1;
    }
  }
  await program.dispose();
  for (const [row, prompt] of prompts.entries()) {
    const plain = ids.subarray(row * T + prompt.length, row * T + prompt.length + newTokens);
    const got = cached[row]?.ids ?? new Int32Array();
    const end = cached[row]?.stoppedAtEos === true ? got.length : newTokens;
    if (got.join() !== plain.subarray(0, end).join())
      throw new BenchCheckError(
        `greedy continuation ${row} with the cache`,
        got.join(),
        `${plain.join()}, as without it`,
      );
  }
}
