import { availableParallelism } from "node:os";
import { expect, it } from "vitest";
import { cardIsHere, gpuIsHere } from "../../test/conformance/devices.ts";
import { NoAdapterError } from "../engine/webgpu/adapter.ts";
import { choiceOfClass, chooseDevice, openDevice } from "./devices.ts";

it("takes the CPU by name, and for `auto` where no GPU is hardware, and says so", async () => {
  const chosen = await chooseDevice({ device: "cpu" });
  expect(chosen.deviceClass).toBe(`cpu-${availableParallelism()}`);
  const device = await chosen.open();
  expect(device.kind).toBe("cpu");
  await device.close();
  const notes: string[] = [];
  const auto = await chooseDevice({ device: "auto", note: (line) => notes.push(line) });
  expect(auto.deviceClass.startsWith("webgpu:")).toBe(cardIsHere);
  expect(notes.some((line) => line.startsWith("computing on the CPU: "))).toBe(!cardIsHere);
});

it("opens the CPU as devices that share its threads, at least one each, and one where one is asked for", async () => {
  const threadsOf = async (threads: number, most: number): Promise<string[]> => {
    const devices = await (await chooseDevice({ device: "cpu", threads })).openSideBySide(most);
    await Promise.all(devices.map((device) => device.close()));
    return devices.map(({ description }) => description);
  };
  const one = "CPU, 1 thread, ONNX Runtime";
  expect(await threadsOf(2, 2)).toEqual([one, one]);
  expect(await threadsOf(5, 2)).toEqual(Array(2).fill("CPU, 2 threads, ONNX Runtime"));
  expect(await threadsOf(1, 2)).toEqual([one]);
  expect(await threadsOf(3, 1)).toEqual(["CPU, 3 threads, ONNX Runtime"]);
});

it.skipIf(!gpuIsHere)("opens a GPU once, however many would compute side by side", async () => {
  const devices = await (await chooseDevice({ device: "gpu" })).openSideBySide(2);
  expect(devices.map(({ kind }) => kind)).toEqual(["gpu"]);
  await Promise.all(devices.map((device) => device.close()));
});

it.skipIf(!gpuIsHere)("names the adapter in the class of a GPU, and opens the same one again", async () => {
  const chosen = await chooseDevice({ device: "gpu" });
  expect(chosen.deviceClass).toMatch(/^webgpu:[a-z0-9]+(-[a-z0-9]+)*$/);
  const device = await chosen.open();
  expect(device.kind).toBe("gpu");
  await device.close();
});

it.skipIf(gpuIsHere)("refuses a GPU that is not there", async () => {
  await expect(openDevice({ device: "gpu" })).rejects.toThrow(NoAdapterError);
});

it.skipIf(!gpuIsHere)("keeps runs apart that take factors less exactly, and finds their device again", async () => {
  const { deviceClass } = await chooseDevice({ device: "gpu-half" });
  expect(deviceClass).toMatch(/^webgpu-half:[a-z0-9-]+$/);
  expect(choiceOfClass(deviceClass)).toBe("gpu-half");
  expect(choiceOfClass((await chooseDevice({ device: "gpu" })).deviceClass)).toBe("gpu");
  expect(["webgpu-split:x", "cpu-2", "cpu-gpu"].map(choiceOfClass)).toEqual(["gpu-split", "cpu", "cpu"]);
});
