/** Against transformers 5.24: test/fixtures/chat-templates/make_chat_templates.py. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { cpuMs } from "../../test/support/cpu-time.ts";
import {
  ChatTemplate,
  ChatTemplateArgumentError,
  ChatTemplateDateError,
  ChatTemplateFileError,
  ChatTemplateLimitError,
  ChatTemplateRefusal,
  ChatTemplateRenderError,
  ChatTemplateSyntaxError,
  loadChatTemplate,
  NoChatTemplateError,
} from "./chat-template.ts";

const fixtures = new URL("../../test/fixtures/chat-templates/", import.meta.url);
const storedSchema = z.object({
  specialTokens: z.record(z.string(), z.string()),
  cases: z.array(
    z.object({
      messages: z.array(z.looseObject({ role: z.string(), content: z.string() })),
      prompt: z.boolean(),
      tools: z.array(z.unknown()).optional(),
      arguments: z.record(z.string(), z.unknown()).optional(),
    }),
  ),
  rendered: z.record(z.string(), z.array(z.string().nullable())),
  dates: z.array(z.object({ now: z.string(), format: z.string(), written: z.string() })),
});
const stored = storedSchema.parse(JSON.parse(await readFile(new URL("chat-templates.json", fixtures), "utf8")));

const templateOf = (template: string): ChatTemplate =>
  new ChatTemplate({ templates: new Map([["default", template]]), specialTokens: stored.specialTokens, where: "here" });
const user = (content: string) => ({ role: "user", content });

describe("rendered as transformers renders them", () => {
  it("has cases that templates take and cases that they refuse, from templates of every kind", () => {
    expect(Object.keys(stored.rendered)).toEqual(
      expect.arrayContaining([
        "smollm2",
        "gemma",
        "gemma3",
        "llama3",
        "llama3_2",
        "qwen2_5",
        "qwen3",
        "phi3",
        "numbered",
      ]),
    );
    const all = Object.values(stored.rendered).flat();
    expect(all.filter((text) => text !== null).length).toBeGreaterThan(1000);
    expect(all.filter((text) => text === null).length).toBeGreaterThan(30);
  });

  it.each(Object.keys(stored.rendered))("%s", async (name) => {
    const template = templateOf(await readFile(new URL(`templates/${name}.jinja`, fixtures), "utf8"));
    const rendered = stored.cases.map(({ messages, prompt, tools, arguments: more }) => {
      try {
        const templateArguments = { date_string: "26 Jul 2024", ...more };
        return template.render(messages, { addGenerationPrompt: prompt, tools, templateArguments });
      } catch (error) {
        if (error instanceof ChatTemplateRefusal || error instanceof ChatTemplateRenderError) return null;
        throw error;
      }
    });
    expect(rendered).toEqual(stored.rendered[name]);
  });

  it("without a date unless one is given", async () => {
    const template = templateOf(await readFile(new URL("templates/llama3_2.jinja", fixtures), "utf8"));
    expect(template.render([user("hi")])).toContain("Today Date: 26 Jul 2024");
    const templateArguments = { date_string: "1 Jan 2025" };
    expect(template.render([user("hi")], { templateArguments })).toContain("Today Date: 1 Jan 2025");
  });

  it("with the same date on every day where a template asks for today's", async () => {
    const template = templateOf(await readFile(new URL("templates/gptoss.jinja", fixtures), "utf8"));
    expect(template.render([user("hi")])).toContain("Current date: 2024-07-26\n");
    const templateArguments = { strftime_now: "2025-06-28" };
    expect(template.render([user("hi")], { templateArguments })).toContain("Current date: 2025-06-28\n");
    const llama = templateOf(await readFile(new URL("templates/llama3_2.jinja", fixtures), "utf8"));
    expect(llama.render([user("hi")], { templateArguments })).toContain("Today Date: 28 Jun 2025");
  });

  it("with dates as Python writes them", () => {
    expect(stored.dates.length).toBeGreaterThan(30);
    const written = stored.dates.map(({ now, format }) =>
      templateOf(`{{ strftime_now(${JSON.stringify(format)}) }}`).render([user("a")], {
        templateArguments: { strftime_now: now },
      }),
    );
    expect(written).toEqual(stored.dates.map((date) => date.written));
  });

  it.each([
    ["line ends of Windows", "{% if true %}\r\na\r\n{% endif %}", "a\n"],
    ["texts against numbers and false", "{{ 'yes' if '' != false and '1' != 1 and true == 1 }}", "yes"],
    ["lists and mappings by content", "{{ 'yes' if [1, {'a': 2}] == [1.0, {'a': 2}] and [1] != [2] }}", "yes"],
    ["nothing against undefined", "{{ 'yes' if missing != none }}", "yes"],
    ["values in texts", "{{ true ~ none ~ missing ~ 3 }}", "TrueNone3"],
    ["lengths in code points", "{{ '🎬🎬' | length }}{{ ' 🎬x🎬'.strip('🎬 ') }}", "2x"],
    ["a range backwards", "{% for i in range(3, 0, -2) %}{{ i }}{% endfor %}", "31"],
  ])("as Python treats %s", (_, template, text) => {
    expect(templateOf(template).render([user("x")])).toBe(text);
  });
});

describe("refusals", () => {
  it("of messages, in the template's words", () => {
    const template = templateOf("{{ raise_exception('only\u001b[31m users') }}");
    expect(() => template.render([user("x")])).toThrow(ChatTemplateRefusal);
    expect(() => template.render([user("x")])).toThrow(
      "here: the chat template refuses these messages: only\\u001b[31m users",
    );
  });

  it.each([
    ["{{ 'a' + 1 }}"],
    ["{{ 'a' ~ [1] }}"],
    ["{{ messages | nofilter }}"],
    ["{{ strftime_now('%Q') }}"],
    ["{{ strftime_now(1) }}"],
    ["{{ strftime_now('%d%') }}"],
  ])("of what fails: %s", (template) => {
    expect(() => templateOf(template).render([user("x")])).toThrow(ChatTemplateRenderError);
  });

  it.each(["today", "2025-13-01", "2025-02-30", "2025-2-3", 20250203, null])("of %j as a date", (strftime_now) => {
    const render = () => templateOf("{{ 1 }}").render([user("x")], { templateArguments: { strftime_now } });
    expect(render).toThrow(ChatTemplateDateError);
  });

  it.each([["{% if %}"], ["{{ 'a"], ["{% for x in y %}"]])("of what is no template: %s", (template) => {
    expect(() => templateOf(template).render([user("x")])).toThrow(ChatTemplateSyntaxError);
  });

  it("of arguments that are not the template's", () => {
    const template = templateOf("{{ messages | length }}");
    for (const name of ["messages", "add_generation_prompt", "tokenize", "namespace"])
      expect(() => template.render([user("x")], { templateArguments: { [name]: 1 } })).toThrow(
        ChatTemplateArgumentError,
      );
  });
});

describe("hostile templates are stopped", () => {
  const nested = `${"{% for a in range(60000) %}".repeat(4)}x${"{% endfor %}".repeat(4)}`;
  const grown = (start: string, step: string, times: number): string =>
    `{% set ns = namespace(x=${start}) %}{% for i in range(${times}) %}{% set ns.x = ${step} %}{% endfor %}{{ ns.x }}`;
  it.each([
    ["loops in loops", nested],
    ["a macro that calls itself", "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}"],
    ["a range of everything", "{% for i in range(1000000000000) %}x{% endfor %}"],
    ["an endless range", "{{ range(0, 1, 0.0000000000001) | length }}"],
    ["a text that doubles", grown("'x'", "ns.x + ns.x", 60)],
    ["a list that doubles", grown("[1]", "ns.x + ns.x", 60)],
    ["a list that holds itself twice", grown("[1]", "[ns.x, ns.x]", 60)],
    ["a text that is replaced by itself", grown("'aaaaaaaaaaaaaaaa'", "ns.x | replace('a', ns.x)", 60)],
    ["an indent", "{{ 'a\n' | indent(100000000, true) }}"],
    ["many texts", `{% for i in range(60000) %}{% set y = '${"x".repeat(10_000)}' | upper %}{% endfor %}`],
    ["deep brackets", `{{ ${"(".repeat(50_000)}1${")".repeat(50_000)} }}`],
    ["spaces without end", `{{ 1 }}${" ".repeat(2 ** 17)}x`],
    ["a file as large as a book", "x".repeat(2 ** 19)],
  ])("%s", (_, template) => {
    const started = cpuMs();
    const render = (): string => templateOf(template).render([user("x")]);
    expect(render).toThrow(ChatTemplateLimitError);
    expect(cpuMs() - started).toBeLessThan(20_000);
  });

  it("after which templates work", () => {
    expect(() => templateOf(nested).render([user("x")])).toThrow(ChatTemplateLimitError);
    expect(templateOf("{{ messages[0].content }}").render([user("x")])).toBe("x");
  });
});

describe("read from a model's folder", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lfp-template-"));
  });
  afterAll(() => rm(folder, { recursive: true }));
  let count = 0;
  const model = async (files: Readonly<Record<string, string>>): Promise<string> => {
    count += 1;
    const path = join(folder, `${count}`);
    await mkdir(path);
    for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
    return path;
  };
  const config = (value: unknown): Record<string, string> => ({ "tokenizer_config.json": JSON.stringify(value) });
  const rendered = async (files: Readonly<Record<string, string>>, tools?: unknown[]): Promise<string | undefined> =>
    (await loadChatTemplate(await model(files)))?.render([user("x")], { tools });

  it("from tokenizer_config.json, with its special tokens as texts or objects", async () => {
    const tokens = { bos_token: "<s>", eos_token: { content: "</s>", lstrip: false }, pad_token: null };
    expect(await rendered(config({ chat_template: "{{ bos_token }}x{{ eos_token }}{{ pad_token }}", ...tokens }))).toBe(
      "<s>x</s>",
    );
  });

  it("by name, with tools the template for tools", async () => {
    const list = [
      { name: "default", template: "plain" },
      { name: "tool_use", template: "{{ tools | length }} tools" },
    ];
    expect(await rendered(config({ chat_template: list }))).toBe("plain");
    expect(await rendered(config({ chat_template: list }), [{}, {}])).toBe("2 tools");
    expect(await rendered(config({ chat_template: list.slice(0, 1) }), [{}])).toBe("plain");
    await expect(rendered(config({ chat_template: list.slice(1) }))).rejects.toThrow(NoChatTemplateError);
  });

  it("from a file of its own, which goes before", async () => {
    const files = {
      ...config({ chat_template: "old", bos_token: "<s>" }),
      "chat_template.jinja": "{{ bos_token }}new",
    };
    expect(await rendered(files)).toBe("<s>new");
  });

  it("from files of a folder of their own, by name", async () => {
    const path = await model({ ...config({ chat_template: "old" }), "chat_template.jinja": "plain" });
    await mkdir(join(path, "additional_chat_templates"));
    const files = { "tool_use.jinja": "tools", "rag.jinja": "rag", "notes.txt": "no template" };
    for (const [name, text] of Object.entries(files))
      await writeFile(join(path, "additional_chat_templates", name), text);
    const template = await loadChatTemplate(path);
    const named = (templateName?: string, tools?: unknown[]) => template?.render([user("x")], { templateName, tools });
    expect([named(), named(undefined, [{}]), named("rag"), named("default", [{}])]).toEqual([
      "plain",
      "tools",
      "rag",
      "plain",
    ]);
    expect(() => named("notes")).toThrow(/no chat template named notes\. Choose .*default, rag, tool_use/);
  });

  it("is undefined where there is none", async () => {
    expect(await loadChatTemplate(await model(config({ bos_token: "<s>" })))).toBeUndefined();
    expect(await loadChatTemplate(await model({}))).toBeUndefined();
  });

  it.each([["{"], ['{"chat_template": 3}'], ['{"chat_template": [{"name": "default"}]}'], ["[]"]])(
    "refuses %s",
    async (text) => {
      await expect(rendered({ "tokenizer_config.json": text })).rejects.toThrow(ChatTemplateFileError);
    },
  );
});
