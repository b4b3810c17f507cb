import fc from "fast-check";
import { expect, test } from "vitest";
import { placeIn } from "./json-places.ts";

type Path = readonly (string | number)[];

/** Every path of a value, with what is there. */
function pathsOf(value: unknown, path: Path = []): (readonly [Path, unknown])[] {
  const own: readonly [Path, unknown] = [path, value];
  if (typeof value !== "object" || value === null) return [own];
  const members = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [own, ...members.flatMap(([key, member]) => pathsOf(member, [...path, key]))];
}

test("every path of any JSON text leads to its name or, in a list, to its value", () => {
  const options = fc.record({ space: fc.constantFrom("", " ", "\t", "    "), crlf: fc.boolean() });
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), options, (value, { space, crlf }) => {
      const plain = JSON.stringify(value, undefined, space);
      const text = crlf ? `\r\n${plain.replaceAll("\n", "\r\n")}\r\n` : plain;
      for (const [path, there] of pathsOf(JSON.parse(plain))) {
        const place = placeIn(text, path);
        const written: unknown = JSON.parse(text.slice(place?.start, place?.end));
        expect(written).toEqual(typeof path.at(-1) === "string" ? path.at(-1) : there);
      }
    }),
  );
});

test("what is not there has no place", () => {
  const text = '{"a": [1, {"b": null}], "length": 2}';
  for (const path of [["b"], ["a", 2], ["a", "length"], ["a", 0, 0], ["a", 1, "b", "c"], ["toString"]])
    expect(placeIn(text, path)).toBeUndefined();
});

test("of two members of one name it is the last, however the name is written", () => {
  const text = '{"a": {"x": 1}, "b": "}", "\\u0061": {"x": 2}}';
  expect(placeIn(text, ["a"])).toEqual({ start: 26, end: 34 });
  expect(placeIn(text, ["a", "x"])?.start).toBe(text.lastIndexOf('"x"'));
});

test("depth costs no stack", () => {
  const text = `{"deep": ${"[".repeat(1e5)}${"]".repeat(1e5)}, "after": 1}`;
  expect(placeIn(text, ["after"])?.start).toBe(text.indexOf('"after"'));
});
