import { join } from "node:path";
import { expect, it } from "vitest";
import { starterFolder, starterRunFolder } from "../../common/package-root.ts";
import { createCpuDevice } from "../../engine/cpu/device.ts";
import type { Device } from "../../engine/device.ts";
import { openPair } from "../../models/pair.ts";
import { openPairDictionary } from "./pair-dictionary.ts";

it("holds a dictionary once on the device, whose two models are checked with it and read through it", async () => {
  const cpu = await createCpuDevice({ threads: 2 });
  const created: string[][] = [];
  const device: Device = {
    kind: cpu.kind,
    description: cpu.description,
    createState: (entries) => {
      created.push(entries.map(({ name }) => name));
      return cpu.createState(entries);
    },
    compile: (spec) => cpu.compile(spec),
    close: () => cpu.close(),
  };
  const tuned = join(starterRunFolder(), "tuned");
  const opened = await openPair(device, { tuned, base: starterFolder() }, { download: false });
  created.length = 0;
  const notes: string[] = [];
  const folder = join(starterRunFolder(), "sae/tuned/3/256");
  const { store } = await openPairDictionary(device, opened, [0], { folder }, (line) => notes.push(line));
  expect(created).toEqual([store.names]);
  expect(notes.map((line) => /in the (\w+) model/.exec(line)?.[1])).toEqual(["tuned", "base"]);
  await device.close();
});
