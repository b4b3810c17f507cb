import { describe, expect, it } from "vitest";
import { ByteCache, SharedWork } from "./cache.ts";

describe("a cache bounded in bytes", () => {
  it("forgets what was not used for longest", () => {
    const cache = new ByteCache<string>(10);
    cache.set("a", "A", 4);
    cache.set("b", "B", 4);
    expect(cache.get("a")).toBe("A");
    cache.set("c", "C", 4);
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual(["A", undefined, "C"]);
    expect(cache.bytes).toBe(8);
  });

  it("counts a replaced value once and keeps nothing that is larger than itself", () => {
    const cache = new ByteCache<string>(10);
    cache.set("a", "A", 4);
    cache.set("a", "AA", 6);
    expect(cache.bytes).toBe(6);
    cache.set("b", "B", 11);
    expect(cache.get("b")).toBeUndefined();
    cache.set("a", "AAA", 12);
    expect([cache.get("a"), cache.bytes]).toEqual([undefined, 0]);
  });
});

describe("shared work", () => {
  /** Work that ends when it is told to. */
  function controlled() {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const signals: AbortSignal[] = [];
    const start = (signal: AbortSignal): Promise<string> => {
      signals.push(signal);
      return promise;
    };
    return { start, resolve, reject, signals };
  }

  it("is done once for all who ask while it is under way", async () => {
    const work = controlled();
    const shared = new SharedWork<string>();
    const both = Promise.all([shared.run("k", undefined, work.start), shared.run("k", undefined, work.start)]);
    work.resolve("done");
    expect(await both).toEqual(["done", "done"]);
    expect(work.signals).toHaveLength(1);
  });

  it("goes on while somebody waits, and is stopped with the last who does", async () => {
    const work = controlled();
    const shared = new SharedWork<string>();
    const [first, second] = [new AbortController(), new AbortController()];
    const one = shared.run("k", first.signal, work.start);
    const other = shared.run("k", second.signal, work.start);
    first.abort(new Error("first stops"));
    await expect(one).rejects.toThrow("first stops");
    expect(work.signals[0]?.aborted).toBe(false);
    second.abort(new Error("second stops"));
    await expect(other).rejects.toThrow("second stops");
    expect(work.signals[0]?.aborted).toBe(true);
    const again = controlled();
    const fresh = shared.run("k", undefined, again.start);
    again.resolve("anew");
    expect(await fresh).toBe("anew");
  });

  it("fails for all who wait, and is begun anew for who asks later", async () => {
    const work = controlled();
    const shared = new SharedWork<string>();
    const both = Promise.allSettled([shared.run("k", undefined, work.start), shared.run("k", undefined, work.start)]);
    work.reject(new Error("broken"));
    expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(shared.run("k", AbortSignal.abort(new Error("late")), work.start)).rejects.toThrow("late");
    expect(work.signals).toHaveLength(1);
  });
});
