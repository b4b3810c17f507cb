import { expect, test } from "vitest";
import { inertJson, message, page, visible, visibleLine } from "./untrusted-text.ts";

const acts = "\u001b[2J\u0007\u009b31m\u202eevil\u2066\u200b\u{e0041}\ud800";

test("what acts on a terminal or hides becomes visible, and nothing else changes", () => {
  expect(visible(acts)).toBe("\\u001b[2J\\u0007\\u009b31m\\u202eevil\\u2066\\u200b\\u{e0041}\ufffd");
  const ordinary = "a\tb\n é 😀 👩‍👩‍👧 日本語 שלום \\ \"'";
  expect(visible(ordinary)).toBe(ordinary);
  expect(visible("a\r\nb\rc")).toBe("a\nb\\u000dc");
  expect(visibleLine("a\nb\tc")).toBe("a\\nb\\tc");
});

test("a message is bounded, and no text in it can begin a line as a message of its own", () => {
  const said = message(`got "\n  ok\nlfp: all is well"`);
  expect(said).toBe('got "\n  ok\n  lfp: all is well"');
  expect(message("x".repeat(5_000_000)).length).toBeLessThan(8100);
  expect(message("x".repeat(5_000_000))).toMatch(/… \(5000000 characters in all\)$/);
  expect(message(acts.repeat(100_000))).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(message(`${"😀".repeat(5000)}`).isWellFormed()).toBe(true);
});

test("a page keeps its lines, each bounded", () => {
  const text = Array.from({ length: 30_000 }, (_, at) => `line ${at}`).join("\n");
  expect(page(text)).toBe(text);
  expect(page(`a\n${"b".repeat(1e6)}\nc`)).toMatch(/^a\nb{100000}… \(1000000 characters in all\)\nc$/);
});

test("JSON says the same without characters that act", () => {
  const json = inertJson(JSON.stringify({ text: acts }));
  expect(json).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(json)).toEqual({ text: acts });
});
