import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InternalError } from "../common/errors.ts";
import { canonicalDigest, canonicalJson, seal, unseal } from "./canonical-json.ts";

describe("canonicalJson", () => {
  test("writes the example of RFC 8785, section 3.2.3", () => {
    const input = {
      "€": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "😀": "Emoji: Grinning Face",
      "\u0080": "Control",
      ö: "Latin Small Letter O With Diaeresis",
    };
    const order = [...canonicalJson(input).matchAll(/:"([^"]*)"/g)].map(([, text]) => text);
    expect(order).toEqual([
      "Carriage Return",
      "One",
      "Control",
      "Latin Small Letter O With Diaeresis",
      "Euro Sign",
      "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ]);
  });

  test("writes numbers and strings as ECMAScript does, without white space", () => {
    const input = {
      numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 1e-27],
      string: '€$\u000f\nA\'B"\\"/',
      literals: [null, true],
    };
    expect(canonicalJson(input)).toBe(
      '{"literals":[null,true],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\"/"}',
    );
  });

  test("gives back what it was given, whatever the order of the members", () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.dictionary(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true })),
        (any, flat) => {
          expect(JSON.parse(canonicalJson(any))).toEqual(any);
          const turned = Object.fromEntries(Object.entries(flat).reverse());
          expect(canonicalJson(turned)).toBe(canonicalJson(flat));
        },
      ),
    );
  });

  test("keeps the sign of zero and leaves out what is undefined", () => {
    expect(Object.is(JSON.parse(canonicalJson([-0]))[0], -0)).toBe(true);
    expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
  });

  test.each([
    [Number.NaN, "value.deep[1].x"],
    [Number.POSITIVE_INFINITY, "value.deep[1].x"],
    [new Date(0), "value.deep[1].x"],
    [new Float32Array(1), "value.deep[1].x"],
    [() => 1, "value.deep[1].x"],
    [1n, "value.deep[1].x"],
    [new Map(), "value.deep[1].x"],
  ])("refuses %s, and says where it is", (bad, path) => {
    const write = () => canonicalJson({ deep: [0, { x: bad }] });
    expect(write).toThrow(InternalError);
    expect(write).toThrow(path);
  });

  test("is digested by SHA-256", () => {
    expect(canonicalDigest({ b: [1, 2], a: "x" })).toBe(
      createHash("sha256").update('{"a":"x","b":[1,2]}').digest("hex"),
    );
  });
});

describe("seal", () => {
  const body = { name: 'é {[,:]} "quoted\\', numbers: [1, -0, 2.5e-8], nested: { empty: {}, none: [] } };

  test("can be read by any JSON reader, and unsealed", () => {
    const text = seal(body);
    expect(JSON.parse(text)).toMatchObject({ name: body.name });
    expect(unseal(text)).toEqual(body);
    expect(text.split("\n").length).toBeGreaterThan(8);
  });

  test("no changed character and no cut passes for the original", () => {
    const text = seal(body);
    for (let i = 0; i < text.length; i++) {
      const flipped = text.slice(0, i) + String.fromCharCode(text.charCodeAt(i) ^ 1) + text.slice(i + 1);
      expect([undefined, body]).toContainEqual(unseal(flipped));
      if (i < text.length - 2) expect(unseal(text.slice(0, i))).toBeUndefined();
    }
  });

  test.each(["", "null", "[]", "{}", '{"seal":1}', '{"a":1}'])("%s is not sealed", (text) => {
    expect(unseal(text)).toBeUndefined();
  });
});
