import { expect, it, vi } from "vitest";
import { NoAdapterError } from "../engine/webgpu/adapter.ts";
import { openDevice } from "./devices.ts";

const { createGpuDevice } = vi.hoisted(() => ({ createGpuDevice: vi.fn<() => Promise<never>>() }));
vi.mock("../engine/webgpu/device.ts", () => ({ createGpuDevice }));

it("looks for a GPU once in a process for `auto`, says each time that there is none, and looks again when one is asked for by name", async () => {
  createGpuDevice.mockRejectedValue(new NoAdapterError("no GPU adapter was found"));
  const notes: string[] = [];
  for (let time = 0; time < 3; time += 1) {
    const device = await openDevice({ device: "auto", threads: 1, note: (line) => notes.push(line) });
    expect(device.kind).toBe("cpu");
    await device.close();
  }
  expect(createGpuDevice).toHaveBeenCalledTimes(1);
  expect(notes).toEqual(Array.from({ length: 3 }, () => "computing on the CPU: no GPU adapter was found"));
  await expect(openDevice({ device: "gpu" })).rejects.toThrow("no GPU adapter was found");
  expect(createGpuDevice).toHaveBeenCalledTimes(2);
});
