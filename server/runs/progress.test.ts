import { expect, test } from "vitest";
import { ProgressMeter } from "./progress.ts";

function meterAt(clock: { nowMs: number }) {
  const told: { done: number; ratePerS: number | null; secondsLeft: number | null; atMs: number }[] = [];
  const emit = ({
    done,
    ratePerS,
    secondsLeft,
  }: {
    done: number;
    ratePerS: number | null;
    secondsLeft: number | null;
  }) => told.push({ done, ratePerS, secondsLeft, atMs: clock.nowMs });
  return { told, meter: new ProgressMeter("tune", emit, () => clock.nowMs) };
}

test("tells at most four times a second, and always the end", () => {
  const clock = { nowMs: 0 };
  const { told, meter } = meterAt(clock);
  for (let done = 1; done <= 1001; done++) {
    clock.nowMs += 10;
    meter.tell(done, 1001, "steps");
  }
  expect(told.length).toBeGreaterThan(35);
  expect(told.length).toBeLessThanOrEqual(42);
  for (let i = 1; i < told.length - 1; i++) {
    expect((told[i]?.atMs ?? 0) - (told[i - 1]?.atMs ?? 0)).toBeGreaterThanOrEqual(250);
  }
  expect(told.at(-1)).toMatchObject({ done: 1001, secondsLeft: 0 });
});

test("long stages fill the event file slowly", () => {
  const clock = { nowMs: 0 };
  const { told, meter } = meterAt(clock);
  for (let done = 1; done <= 36_000; done++) {
    clock.nowMs += 100;
    meter.tell(done, 1e9, "tokens");
  }
  expect(told.length).toBeLessThan(2500);
});

test("the rate counts from where this process took up, not from the start of the stage", () => {
  const clock = { nowMs: 0 };
  const { told, meter } = meterAt(clock);
  meter.tell(500, 1000, "steps");
  clock.nowMs = 10_000;
  meter.tell(600, 1000, "steps");
  expect(told).toEqual([
    { done: 500, ratePerS: null, secondsLeft: null, atMs: 0 },
    { done: 600, ratePerS: 10, secondsLeft: 40, atMs: 10_000 },
  ]);
});

test("what is counted in another unit has a rate of its own", () => {
  const clock = { nowMs: 0 };
  const { told, meter } = meterAt(clock);
  meter.tell(1000, 1000, "tokens");
  clock.nowMs = 10_000;
  meter.tell(10, 100, "texts");
  clock.nowMs = 20_000;
  meter.tell(30, 100, "texts");
  expect(told.slice(1)).toEqual([
    { done: 10, ratePerS: null, secondsLeft: null, atMs: 10_000 },
    { done: 30, ratePerS: 2, secondsLeft: 35, atMs: 20_000 },
  ]);
});
