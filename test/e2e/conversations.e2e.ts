/** A person opens a file of conversations and sees their messages coloured as the model's chat template has it read them. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { starterFolder, starterRunFolder } from "../../server/common/package-root.ts";
import { Session } from "./support/session.ts";
import type { Workbench } from "./support/workbench.ts";

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const rows = [
  { messages: [user("How was the film?"), assistant("It was great 🎬, a precious delight.\nI loved it.")] },
  {
    messages: [
      user('Was the "ending" good?'),
      assistant("No, it was awful."),
      user("And the cast?"),
      assistant("Weak and boring, a terrible mess."),
    ],
  },
  { messages: [{ role: "judge", content: "This one is not written by the template." }] },
];
const conversations = `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`;
const template =
  "{{ bos_token }}{% for m in messages %}{% if m.role == 'judge' %}{{ raise_exception('unknown role: judge') }}{% endif %}" +
  "{{ m.role }}: {{ m.content }}\n{{ eos_token }}{% endfor %}";

describe.skipIf(!inject("ground").ready)("a file of conversations", () => {
  let session: Session;
  let workbench: Workbench;

  beforeAll(async () => {
    session = await Session.start({ files: { "conversations.jsonl": conversations } });
    await cp(starterFolder(), join(session.folder, "base"), { recursive: true });
    await cp(join(starterRunFolder(), "tuned"), join(session.folder, "tuned"), { recursive: true });
    await writeFile(join(session.folder, "tuned", "chat_template.jinja"), template);
    workbench = await session.open();
    await workbench.openFile("conversations.jsonl");
    await workbench.run("LFP Lens: Show Learned Reward");
    await workbench.run("LFP Lens: Compare Two Checkpoints…");
    await workbench.chooseFolder(join(session.folder, "tuned"), "tuned checkpoint");
    await workbench.chooseFolder(join(session.folder, "base"), "that it was tuned from");
    await workbench.statusExplains("tuned compared with base");
  });
  afterAll(() => session.stop());
  beforeEach(({ onTestFailed, task }) => onTestFailed(() => workbench.screenshot(`failed ${task.name}`)));

  it.each([
    ["Light Modern", "vs"],
    ["Dark Modern", "vs-dark"],
  ] as const)("has the contents of its messages coloured, and nothing else, in the theme %s", async (theme, kind) => {
    await workbench.chooseTheme(theme, kind);
    const words = await workbench.coloured((found) =>
      ["precious", "loved", "awful", "mess"].every((one) => found.some(({ word }) => word === one)),
    );
    const coloured = words.map(({ word }) => word);
    for (const plain of ["messages", "role", "assistant", "judge", "template"]) expect(coloured).not.toContain(plain);
    await workbench.statusExplains("unknown role: judge");
    await workbench.screenshot(`conversations ${theme}`);
  });

  it("says in a hover how tuning changed a word after the turns before it, and writes nothing into the file", async () => {
    await workbench.hoverOver("terrible", /Tuning made it less likely/);
    await workbench.screenshot("conversations hover");
    await workbench.page.keyboard.press("Escape");
    expect(await readFile(join(session.folder, "conversations.jsonl"), "utf8")).toBe(conversations);
  });
});
