import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { randomLensSubject } from "../../server/bench/lens-subject.ts";
import { lensError } from "../../server/bench/lens-timing.ts";
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import type { Device } from "../../server/engine/device.ts";
import { Lens } from "../../server/lens/lens.ts";
import type { Reading } from "../../server/lens/reading.ts";
import type { LensSubject } from "../../server/lens/subject.ts";
import { expectClose } from "./close-to.ts";
import { devicesUnderTest } from "./devices.ts";

const text = "A great cast in a dreadful film, and yet I loved it.";
const near = { absolute: 1e-4, relative: 1e-4 };

describe.each(devicesUnderTest)("a lens of the starter's shape on $kind", ({ open }) => {
  let device: Device;
  let subject: LensSubject;
  beforeAll(async () => {
    device = await open();
    subject = await randomLensSubject(device, "starter");
  });
  afterAll(async () => {
    await subject.close();
    await device.close();
  });

  it("gives what a plain forward pass gives", async () => {
    expect(await lensError(subject, text)).toBeLessThan(1e-4);
  });

  it("gives the rewards, features and familiarity that the CPU gives on one thread", async () => {
    const one = await createCpuDevice({ threads: 1 });
    const [expected, got] = [await readOnce(await randomLensSubject(one, "starter")), await readOnce(subject)];
    await one.close();
    expect(got.starts).toEqual(expected.starts);
    const { familiarity = new Float64Array() } = expected;
    expect(familiarity.length).toBe(expected.starts.length);
    expectClose("rewards", got.implicit, expected.implicit, near);
    expectClose("familiarity", got.familiarity, familiarity, near);
    const { features: F } = subject.info;
    expectClose("features", dense(got, F), dense(expected, F), near);
  });
});

async function readOnce(subject: LensSubject): Promise<Reading> {
  const lens = new Lens({ ...subject, close: async () => undefined });
  const reading = await lens.read(text);
  await lens.close();
  return reading;
}

/** Features [N, F], all of them: one that is as good as zero may be there on one device alone. */
function dense({ features: { rowStarts, columns, values } }: Reading, F: number): Float32Array {
  const all = new Float32Array((rowStarts.length - 1) * F);
  for (let token = 0; token + 1 < rowStarts.length; token++) {
    for (let at = rowStarts[token] ?? 0; at < (rowStarts[token + 1] ?? 0); at++)
      all[token * F + (columns[at] ?? F)] = values[at] ?? 0;
  }
  return all;
}
