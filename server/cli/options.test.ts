import { describe, expect, it } from "vitest";
import { describeOptions, option, parseOptions } from "./options.ts";

describe("options", () => {
  const options = {
    name: option.text("NAME", "a name"),
    size: option.choice("SIZE", "a size", ["small", "large"], "small"),
    count: option.integer("how many", 3, { min: 1, max: 9 }),
    rate: option.number("how fast", 0.5),
    tags: option.texts("TAG", "tags"),
    force: option.flag("really"),
  };

  it("are read as they are declared", () => {
    expect(parseOptions([], options).values).toEqual({
      name: undefined,
      size: "small",
      count: 3,
      rate: 0.5,
      tags: [],
      force: false,
    });
    const args = [
      "--name",
      "n",
      "--size=large",
      "--count",
      "9",
      "--rate",
      "1e-3",
      "--tags",
      "a",
      "x",
      "--tags",
      "b",
      "--force",
      "--",
      "--y",
    ];
    expect(parseOptions(args, options)).toEqual({
      values: { name: "n", size: "large", count: 9, rate: 1e-3, tags: ["a", "b"], force: true },
      positionals: ["x", "--y"],
    });
  });

  it.each([["1e999"], ["0x10"], ["NaN"], [" "], ["1,5"]])("refuse %j as a number", (text) => {
    expect(() => parseOptions(["--rate", text], options)).toThrow("expected a number");
  });

  it("are described in two columns that fit the line", () => {
    const lines = describeOptions({ ...options, long: option.flag("word ".repeat(60).trim()) }).split("\n");
    expect(lines[1]).toBe("  --size SIZE  a size: small, large (default small)");
    expect(lines[4]).toBe("  --tags TAG   tags; may be repeated");
    expect(lines.every((line) => line.length <= 110)).toBe(true);
    expect(lines.slice(7).every((line) => line.startsWith(" ".repeat(15)))).toBe(true);
  });
});
