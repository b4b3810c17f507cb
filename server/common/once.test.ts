import { expect, test, vi } from "vitest";
import { once } from "./once.ts";

test("makes a value at the first call only, be it undefined", () => {
  for (const value of [{}, undefined]) {
    const make = vi.fn(() => value);
    const get = once(make);
    expect(make).not.toHaveBeenCalled();
    expect([get(), get()]).toEqual([value, value]);
    expect(get()).toBe(value);
    expect(make).toHaveBeenCalledTimes(1);
  }
});

test("tries again after a throw", () => {
  const make = vi.fn(() => 5);
  make.mockImplementationOnce(() => {
    throw new TypeError("not now");
  });
  const get = once(make);
  expect(get).toThrow("not now");
  expect(get()).toBe(5);
});
