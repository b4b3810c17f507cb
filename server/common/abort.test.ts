import { expect, test } from "vitest";
import { unlessAborted } from "./abort.ts";

const never = (): Promise<never> => new Promise(() => undefined);

test("a signal ends the wait with its reason, also one that was aborted before", async () => {
  const controller = new AbortController();
  const waiting = unlessAborted(never(), controller.signal);
  controller.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
  await expect(unlessAborted(never(), controller.signal)).rejects.toThrow("enough");
});

test("without an abort the promise's own outcome comes through", async () => {
  const { signal } = new AbortController();
  expect(await unlessAborted(Promise.resolve(7), signal)).toBe(7);
  expect(await unlessAborted(Promise.resolve(8), undefined)).toBe(8);
  await expect(unlessAborted(Promise.reject(new Error("its own")), signal)).rejects.toThrow("its own");
});
