import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { modelFolder } from "../../test/conformance/fixtures.ts";
import { tinyPrompts, tinyTokenizer } from "../../test/support/tiny-ppo.ts";
import { Random } from "../common/random.ts";
import { createCpuDevice } from "../engine/cpu/device.ts";
import type { Device } from "../engine/device.ts";
import { loadModel } from "../models/checkpoint.ts";
import { Generator } from "../models/generate.ts";
import type { Continuation } from "../models/generation-rows.ts";
import { judgedText } from "../rewards/reward.ts";
import { completionsOf, decodeText, sampleRollouts } from "./rollout.ts";

const decode = decodeText(tinyTokenizer);

describe("what is kept of a continuation", () => {
  const prompts = tinyPrompts(4);
  const kept = (continuations: readonly Continuation[], length: number) =>
    sampleRollouts(
      { generate: async () => [...continuations], dispose: async () => {} },
      prompts.slice(0, continuations.length),
      decode,
      { newTokens: { min: length, max: length }, temperature: 1 },
      Random.fromSeed(1),
    );
  const ended = (...ids: number[]) => ({ ids: Int32Array.from(ids), stoppedAtEos: true, endId: 1 });
  const running = (...ids: number[]) => ({ ids: Int32Array.from(ids), stoppedAtEos: false, endId: undefined });

  it("an early end of text is the last token of the completion, and no token of the prompt enters it", async () => {
    const [early, atOnce, running_] = await kept([ended(10, 11), ended(), running(10, 11, 12, 13, 14)], 5);
    expect(early).toMatchObject({ completion: Int32Array.of(10, 11, 1), text: " 10 11", ended: true });
    expect(atOnce).toMatchObject({ completion: Int32Array.of(1), text: "", ended: true });
    expect(running_).toMatchObject({ completion: Int32Array.of(10, 11, 12, 13, 14), ended: false });
    expect(early?.prompt).toEqual(prompts[0]?.ids);
  });

  it("a completion is cut at its own length, and an end after that is none of it", async () => {
    const [longer, justAfter] = await kept([ended(10, 11, 12, 13), ended(10, 11, 12)], 3);
    for (const rollout of [longer, justAfter])
      expect(rollout).toMatchObject({ completion: Int32Array.of(10, 11, 12), text: " 10 11 12", ended: false });
  });

  it("text is scored with its prompt or without", async () => {
    const [rollout] = await kept([running(10, 11)], 2);
    if (rollout === undefined) throw new Error("no rollout");
    const [asked] = completionsOf([rollout]);
    if (asked === undefined) throw new Error("nothing is asked");
    expect(judgedText(asked, "completion")).toBe(" 10 11");
    expect(judgedText(asked, "full")).toBe(`${prompts[0]?.text} 10 11`);
  });
});

describe("sampling from a model", () => {
  let device: Device;
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
  });
  afterAll(() => device.close());

  it("gives every prompt a completion of the lengths asked for, with real ends of text", async () => {
    const model = await loadModel(device, modelFolder("gpt-neox"));
    const head = await model.store.read("embed_out.weight");
    // An end of text becomes likely: its logit grows with all others' shrinking.
    await model.store.write(
      "embed_out.weight",
      Float32Array.from(head, (weight, at) => (Math.floor(at / model.config.width) === 1 ? weight : weight / 4)),
    );
    const generator = await Generator.create(device, model, { batch: 64, promptTokens: 4, maxNewTokens: 8 });
    const prompts = tinyPrompts(64);
    const draw = (seed: number) =>
      sampleRollouts(
        generator,
        prompts,
        decode,
        { newTokens: { min: 3, max: 8 }, temperature: 1 },
        Random.fromSeed(seed),
      );
    const rollouts = await draw(1);
    for (const [row, { prompt, completion, ended, text }] of rollouts.entries()) {
      expect(prompt).toEqual(prompts[row]?.ids);
      expect(completion.indexOf(1)).toBe(ended ? completion.length - 1 : -1);
      expect(text).toBe(decode(completion.filter((id) => id !== 1)));
      if (!ended) expect(completion.length).toBeGreaterThanOrEqual(3);
      expect(completion.length).toBeLessThanOrEqual(8);
    }
    expect(rollouts.some(({ ended }) => ended)).toBe(true);
    expect(new Set(rollouts.filter(({ ended }) => !ended).map(({ completion }) => completion.length)).size).toBe(6);
    expect(await draw(1)).toEqual(rollouts);
    expect(await draw(2)).not.toEqual(rollouts);
    await generator.dispose();
  });
});
