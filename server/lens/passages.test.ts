import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cpuMs } from "../../test/support/cpu-time.ts";
import { starterFolder } from "../common/package-root.ts";
import { characterGroups, loadTokenizer } from "../models/tokenizer.ts";
import { endInDocument, fromDocument, type Passage, passagesOf, toDocument } from "./passages.ts";

const texts = (document: string, languageId = "plaintext"): string[] =>
  passagesOf(document, languageId).map(({ text }) => text);

describe("passages of plain text and Markdown", () => {
  it("are the paragraphs between blank lines, without the space around them", () => {
    const document = "\n\n  One\ntwo  \n \t \n# Three\n\n\n- four\n- five\n";
    expect(texts(document)).toEqual(["One\ntwo", "# Three", "- four\n- five"]);
    expect(texts(document, "markdown")).toEqual(["One\ntwo", "Three", "four\nfive"]);
    for (const { start, end, text } of passagesOf(document, "plaintext")) expect(document.slice(start, end)).toBe(text);
  });

  it("read the same with CRLF as with LF, at places that know of it", () => {
    const document = "One\r\ntwo\r\n\r\nthree\r\nfour";
    const passages = passagesOf(document, "plaintext");
    expect(passages.map(({ text }) => text)).toEqual(["One\ntwo", "three\nfour"]);
    const [first, second] = passages;
    expect(document.slice(at(first, 0), at(first, 3))).toBe("One");
    expect(document.slice(at(first, 3), at(first, 4))).toBe("\r\n");
    expect(document.slice(at(first, 4), at(first, 7))).toBe("two");
    expect(document.slice(at(second, 0), at(second, 5))).toBe("three");
    expect(document.slice(at(second, 6), at(second, 10))).toBe("four");
  });

  it("has none in nothing", () => {
    for (const document of ["", "\n", "  \r\n\t"]) expect(texts(document)).toEqual([]);
  });
});

describe("what is no running text", () => {
  it.each([
    ["a fence", "One.\n```js\nlet great = 1;\n```\nTwo.", ["One.", "Two."]],
    ["a fence that is never closed", "One.\n\n~~~\nlet great = 1;\n\nTwo.", ["One."]],
    ["front matter", "---\ntitle: Great\n---\nOne.", ["One."]],
    [
      "link targets, and pictures",
      'A [great film](https://e.org/a_(b) "T") and ![a cast](x.png)!',
      ["A great film and a cast!"],
    ],
    ["references", "A [great film][1] it is.\n\n[1]: https://e.org/great", ["A great film it is."]],
    ["addresses", "See https://e.org/great?x=1 or <https://e.org>.", ["See  or ."]],
    [
      "marks",
      "# A **great** *cast*, ~~bad~~ `code` and snake_case 2 * 3 __x__",
      ["A great cast, bad code and snake_case 2 * 3 x"],
    ],
    ["quotes and lists", "> A quote\n> of two\n\n1. One\n- [x] two", ["A quote\nof two", "One\ntwo"]],
    ["tags and comments", "A <b>great</b> cast.<!-- not\nread --> Yes.", ["A great cast. Yes."]],
    ["rules and tables", "Head | Two\n--- | ---\none | two\n\n* * *\n\nEnd", ["Head | Two", "one | two", "End"]],
  ])("of Markdown: %s", (_, document, expected) => {
    expect(texts(document, "markdown")).toEqual(expected);
  });

  it.each([
    ["the preamble", "\\documentclass{a}\n\\title{Great}\n\\begin{document}\nOne.\n\\end{document}", ["One."]],
    ["comments", "One % great\ntwo 50\\% off.", ["One\ntwo 50 off."]],
    ["formulas", "One $a_1$ and \\(b\\) two.\n\\[ c \\]\nThree.", ["One  and  two.", "Three."]],
    ["blocks", "One.\n\\begin{align*}\n a &= b\n\\end{align*}\nTwo.", ["One.", "Two."]],
    [
      "commands",
      "A \\emph{great} cast \\cite[p.~2]{great2020}, see \\href{http://e.org}{the site}.",
      ["A great cast , see the site."],
    ],
    ["sections", "\\section*{A great film}\n\\label{sec:great}\nOne.", ["A great film", "One."]],
  ])("of LaTeX: %s", (_, document, expected) => {
    expect(texts(document, "latex")).toEqual(expected);
  });

  it.each([
    ["underlines", "Great\n=====\n\nOne.", ["Great", "One."]],
    ["code", "One::\n\n.. code-block:: python\n   :linenos:\n\n   great = 1\n\nTwo.", ["One", "Two."]],
    [
      "links, roles and marks",
      "A `great film <http://e.org>`_, :ref:`the cast`, **bold** and ``code``.",
      ["A great film, the cast, bold and code."],
    ],
    ["notes keep their text", ".. note:: A great cast.\n", ["A great cast."]],
  ])("of reStructuredText: %s", (_, document, expected) => {
    expect(texts(document, "restructuredtext")).toEqual(expected);
  });

  it("is passed over: words keep their places, and their ends leave out what follows", () => {
    const document = "A [great](https://e.org) **cast**,\r\nand [more](x)";
    const [passage] = passagesOf(document, "markdown");
    expect(passage?.text).toBe("A great cast,\nand more");
    for (const word of ["great", "cast", "and", "more"]) {
      const start = passage?.text.indexOf(word) ?? -1;
      const place = [at(passage, start), endInDocument(assured(passage), start + word.length)] as const;
      expect(document.slice(...place)).toBe(word);
      expect(fromDocument(assured(passage), place[0])).toBe(start);
    }
    expect(document.slice(passage?.start, passage?.end)).toBe("A [great](https://e.org) **cast**,\r\nand [more");
  });

  it("leaves every character that is read at its place, whatever the document", () => {
    const marks = fc.constantFrom(
      "*",
      "_",
      "`",
      "[a b](c)",
      "\n",
      "\r\n",
      "# ",
      "> ",
      "\\emph{x}",
      "$y$",
      "%",
      "{",
      "word",
      " ",
      "https://e.org",
    );
    fc.assert(
      fc.property(
        fc.array(marks, { maxLength: 40 }),
        fc.constantFrom("markdown", "latex", "restructuredtext"),
        (parts, languageId) => {
          const document = parts.join("");
          let last = 0;
          for (const passage of passagesOf(document, languageId)) {
            expect(passage.start).toBeGreaterThanOrEqual(last);
            last = passage.end;
            for (let unit = 0; unit < passage.text.length; unit++) {
              const written = document.slice(toDocument(passage, unit), endInDocument(passage, unit + 1));
              expect(written.replaceAll("\r\n", "\n")).toBe(passage.text[unit]);
              expect(fromDocument(passage, toDocument(passage, unit))).toBe(unit);
            }
            expect(passage.text.trim()).toBe(passage.text);
          }
        },
      ),
    );
  });
});

describe("passages of records", () => {
  it("are the strings of more than one word, whatever their depth; names and lines that are no JSON have none", () => {
    const lines = [
      '{"id": "a1", "text": "One two.", "a name": {"list": ["x", "three four"]}}',
      "not json at all",
      '"five six"',
    ];
    expect(texts(lines.join("\n"), "jsonl")).toEqual(["One two.", "three four", "five six"]);
  });

  it("map what escapes say to where they are written", () => {
    const document = '{"skip":1}\n{"text":"a\\"b \\u00e9\\ud83d\\ude00\\n\\\\c d"}\n';
    const [passage] = passagesOf(document, "jsonl");
    expect(passage?.text).toBe('a"b é😀\n\\c d');
    const written = ["a", '\\"', "b", " ", "\\u00e9", "\\ud83d", "\\ude00", "\\n", "\\\\", "c", " ", "d"];
    expect(written.map((_, unit) => document.slice(at(passage, unit), at(passage, unit + 1)))).toEqual(written);
    for (const unit of written.keys()) expect(fromDocument(assured(passage), at(passage, unit))).toBe(unit);
    expect(fromDocument(assured(passage), at(passage, 4) + 3)).toBe(4);
  });
});

const tricky = [
  "word",
  " ",
  " the",
  "😀",
  "👩‍👩‍👧",
  "e\u0301",
  "é",
  "ﬁ",
  "ﷺ",
  "שלום",
  "مرحبا",
  "映画",
  "。",
  "\t",
  "\r\n",
  "\n",
  "\n\n",
  ".",
  "!",
  "\u200b",
  "\ud800",
  "a",
  "Ω",
  "가",
  "가",
];
const document = fc.array(fc.constantFrom(...tricky), { maxLength: 60 }).map((parts) => parts.join(""));

describe("whatever the text", () => {
  it("passages are in order, apart, and leave out only white space", () => {
    fc.assert(
      fc.property(document, (text) => {
        let end = 0;
        for (const passage of passagesOf(text, "plaintext")) {
          expect(text.slice(end, passage.start).trim()).toBe("");
          expect(text.slice(passage.start, passage.end).replaceAll("\r\n", "\n")).toBe(passage.text);
          end = passage.end;
        }
        expect(text.slice(end).trim()).toBe("");
      }),
    );
  });

  it("tokens tile each passage, in the passage and in the document, and start and end between characters", async () => {
    const tokenizer = await loadTokenizer(starterFolder());
    fc.assert(
      fc.property(document, fc.constantFrom("plaintext", "jsonl"), (text, languageId) => {
        const source = languageId === "jsonl" ? JSON.stringify({ text, more: [text] }) : text;
        for (const passage of passagesOf(source, languageId)) {
          const groups = characterGroups(tokenizer.encode(passage.text, { addSpecialTokens: false }).ranges);
          let end = 0;
          for (const group of groups) {
            expect(group.start).toBe(end);
            expect(group.end).toBeGreaterThan(end);
            end = group.end;
            if (languageId === "jsonl")
              expect(
                JSON.parse(`"${source.slice(toDocument(passage, group.start), toDocument(passage, group.end))}"`),
              ).toBe(passage.text.slice(group.start, group.end));
            expect(fromDocument(passage, toDocument(passage, group.start))).toBe(group.start);
          }
          expect(end).toBe(passage.text.length);
          expect(toDocument(passage, 0)).toBe(passage.start);
          expect(toDocument(passage, end)).toBe(passage.end);
        }
      }),
    );
  });
});

describe("large documents", () => {
  const sentence = "This film was a joy to watch, and then it was over. ";

  it("a line of 100,000 characters is cut at sentences, and an edit leaves the parts behind it as they were", () => {
    const line = sentence.repeat(2000).trimEnd();
    const before = passagesOf(line, "plaintext");
    expect(before.length).toBeGreaterThan(10);
    expect(before.every(({ text }) => text.length <= 10_300 && text.endsWith("."))).toBe(true);
    const after = texts(`${line.slice(0, 50)}really ${line.slice(50)}`);
    expect(after.filter((text) => !before.some((passage) => passage.text === text))).toHaveLength(1);
  });

  it.each([
    ["paragraphs", `${sentence.repeat(8)}\n\n`, "plaintext"],
    ["one line", sentence, "plaintext"],
    ["one word", "x", "plaintext"],
    ["smileys", "😀", "plaintext"],
    ["joiners", "\u200d", "plaintext"],
    ["blank lines", "\r\n", "plaintext"],
    ["marks", `**A** [film](c) \`is\` <b>${sentence}`, "markdown"],
    ["open brackets", "[", "markdown"],
    ["open tags", "<a ", "markdown"],
    ["fences", "```\n", "markdown"],
    ["stars", "*", "markdown"],
    ["addresses", "https://e.org/", "markdown"],
    ["backslashes", "\\a{", "latex"],
    ["dollars", "$a", "latex"],
    ["blocks that are never closed", "\\begin{align}", "latex"],
    ["backquotes", "`a <b", "restructuredtext"],
    ["directives", ".. code::\n", "restructuredtext"],
    ["records", `${JSON.stringify({ text: `${sentence}\n"${sentence}"` })}\n`, "jsonl"],
    ["quotes", '"', "jsonl"],
    ["brackets", "[", "jsonl"],
  ])("5 MB of %s take a second or two at most, and no part is long", (_, unit, languageId) => {
    const large = unit.repeat(Math.ceil(5e6 / unit.length));
    const begin = cpuMs();
    const passages = passagesOf(large, languageId);
    // Linear work takes a tenth of this; quadratic work would take hours.
    expect(cpuMs() - begin).toBeLessThan(5000);
    for (const { text } of passages) if (text.length > 11_300) expect.fail(`a part has ${text.length} characters`);
  });
});

function at(passage: Passage | undefined, unit: number): number {
  return toDocument(assured(passage), unit);
}

function assured(passage: Passage | undefined): Passage {
  if (passage === undefined) throw new TypeError("there is no such passage");
  return passage;
}
