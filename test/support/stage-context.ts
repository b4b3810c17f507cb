/** What a stage is called with where no run calls it: nothing is saved, logged or cut. */

import { Random } from "../../server/common/random.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { StageContext } from "../../server/runs/stage.ts";

export function stageContext<Settings, Inputs extends string>(own: {
  readonly settings: Settings;
  /** The folder of each input. */
  readonly inputs: Readonly<Record<Inputs, string>>;
  readonly output: string;
  readonly message?: StageContext<Settings, Inputs>["message"];
}): StageContext<Settings, Inputs> {
  return {
    settings: own.settings,
    input: (name) => own.inputs[name],
    output: own.output,
    random: Random.fromSeed(1),
    signal: new AbortController().signal,
    progress: () => undefined,
    message: own.message ?? (() => undefined),
    log: () => undefined,
    stepDone: () => Promise.resolve(),
    openDevice: () => createCpuDevice({ threads: 1 }),
    openDevices: async () => [await createCpuDevice({ threads: 1 })],
    resumed: undefined,
  };
}
