import { expect, it } from "vitest";
import { type InTurn, oneByOne, sideBySide } from "./side-by-side.ts";

it("runs works at once and gives their results in the works' order", async () => {
  const second = Promise.withResolvers<string>();
  const results = await sideBySide([
    async () => `first after ${await second.promise}`,
    async () => {
      second.resolve("second");
      return "second";
    },
  ]);
  expect(results).toEqual(["first after second", "second"]);
});

it("throws the first failure once every work has ended", async () => {
  const ended: string[] = [];
  const failed = Promise.withResolvers<void>();
  const works = [
    async () => {
      await failed.promise;
      await Promise.resolve();
      ended.push("slow");
      throw new Error("the second failure");
    },
    async () => {
      failed.resolve();
      throw new Error("the first failure");
    },
  ];
  await expect(sideBySide(works)).rejects.toThrow("the first failure");
  expect(ended).toEqual(["slow"]);
});

it("lets one work act at a time, in the order in which they ask", async () => {
  const acts: string[] = [];
  const act = (name: string) => async (): Promise<void> => {
    acts.push(`${name} begins`);
    await Promise.resolve();
    await Promise.resolve();
    acts.push(`${name} ends`);
  };
  await sideBySide(["a", "b", "c"].map((name) => (inTurn) => inTurn(act(name))));
  expect(acts).toEqual(["a", "b", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]));
});

it("a work that asks for its turn after another's failure gets that failure and does not act", async () => {
  const failed = Promise.withResolvers<void>();
  const acted: string[] = [];
  const works = [
    async () => {
      failed.resolve();
      throw new Error("no disk space");
    },
    async (inTurn: InTurn) => {
      await failed.promise;
      await expect(inTurn(async () => acted.push("acted"))).rejects.toThrow("no disk space");
    },
  ];
  await expect(sideBySide(works)).rejects.toThrow("no disk space");
  expect(acted).toEqual([]);
});

it("runs acts one by one, and the next also after one that failed", async () => {
  const inTurn = oneByOne();
  const acts: string[] = [];
  const first = Promise.withResolvers<void>();
  const failing = inTurn(async () => {
    await first.promise;
    acts.push("fails");
    throw new Error("refused");
  });
  const next = inTurn(async () => acts.push("acts"));
  first.resolve();
  await expect(failing).rejects.toThrow("refused");
  await next;
  expect(acts).toEqual(["fails", "acts"]);
});
