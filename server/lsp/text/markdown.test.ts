import { expect, test } from "vitest";
import { exampleLine } from "../lens/feature-hover-text.ts";
import { oneLine, plain, probability, quoted, signed } from "./markdown.ts";

const hostile = [
  "[click](command:workbench.action.terminal.new)",
  "![x](https://evil.example/p.png)",
  "<https://evil.example>",
  "https://evil.example www.evil.example me@evil.example",
  "<img src=x onerror=alert(1)>",
  "<script>alert(1)</script>",
  "&lt;b&gt; &#60;",
  "| a | b |",
  "`code` **bold** _it_ ~~no~~ # head",
  "$(trash) :smile: ==mark==",
  "[ref]: javascript:alert(1)",
  "\\[escaped\\](x)",
];

/** CommonMark takes a backslash before ASCII punctuation for the mark itself, and nothing else for a mark: so none may stand alone. */
test.each(hostile)("every mark of %j is escaped, and its words are kept", (text) => {
  const shown = plain(text);
  expect(shown.replace(/\\[!-/:-@[-`{-~]/g, "")).not.toMatch(/[!-/:-@[-`{-~]/);
  expect(shown.replace(/\\([!-/:-@[-`{-~])/g, "$1")).toBe(text);
  for (const around of [quoted(text), exampleLine([text, text, text], 1)])
    expect(around.replace(/\\[!-/:-@[-`{-~]/g, "").replaceAll("**", "")).not.toMatch(/[!-/:-@[-`{-~]/);
});

test("nothing breaks the line, hides, or turns the direction of its neighbours", () => {
  const shown = plain("a\r\nb\nc\rd\te\u202ef\u2066g\u200bh\0i\u2028j\ufeffk\u{e0041}l\ud800m");
  expect(shown).toBe("a⏎b⏎c⏎d⇥e␦f␦g␦h␦i␦j␦k␦l�m");
  expect(oneLine("x\n\u202ey")).toBe("x⏎␦y");
});

test("what is long is cut between characters", () => {
  expect(plain("x".repeat(400))).toBe(`${"x".repeat(299)}…`);
  expect(oneLine("😀😀😀", 4)).toBe("😀…");
});

test("numbers say their sign, and small probabilities their order", () => {
  expect([1.234, -0.5, 0, -0.001, 1234.5].map(signed)).toEqual(["+1.23", "−0.50", "0.00", "0.00", "+1235"]);
  expect([0.25, 0.001, 0.0001, 4e-10].map(probability)).toEqual(["0.250", "0.001", "1 × 10⁻⁴", "4 × 10⁻¹⁰"]);
});
