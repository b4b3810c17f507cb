import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Watchdog } from "./watchdog.ts";

describe("the watchdog", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function watch(ping: () => Promise<unknown>): { readonly dog: Watchdog; readonly hangs: () => number } {
    let hangs = 0;
    const dog = new Watchdog({ patienceMs: 1000, silenceMs: 3000, ping, onHang: () => hangs++ });
    return { dog, hangs: () => hangs };
  }
  const silence = (): Promise<never> => new Promise(() => {});

  it("tells of a server that answers neither the question nor whether it lives", async () => {
    const { dog, hangs } = watch(silence);
    dog.asked();
    await vi.advanceTimersByTimeAsync(3999);
    expect(hangs()).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(hangs()).toBe(1);
  });

  it("lets a slow answer take its time while the server says that it lives, even by an error", async () => {
    const ping = vi.fn(async () => await Promise.reject(new Error("unknown method")));
    const { dog, hangs } = watch(ping);
    dog.asked();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(hangs()).toBe(0);
    expect(ping.mock.calls.length).toBeGreaterThan(5);
  });

  it("asks nothing when answers come", async () => {
    const ping = vi.fn(silence);
    const { dog, hangs } = watch(ping);
    const answered = dog.asked();
    await vi.advanceTimersByTimeAsync(900);
    answered();
    answered();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(ping).not.toHaveBeenCalled();
    expect(hangs()).toBe(0);
  });

  it("takes an answer that comes while it waits for a sign of life", async () => {
    const { dog, hangs } = watch(silence);
    const answered = dog.asked();
    await vi.advanceTimersByTimeAsync(1500);
    answered();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(hangs()).toBe(0);
  });

  it("forgets the questions to a server that is gone", async () => {
    const { dog, hangs } = watch(silence);
    const answered = dog.asked();
    dog.reset();
    answered();
    dog.asked();
    await vi.advanceTimersByTimeAsync(4000);
    expect(hangs()).toBe(1);
  });
});
