/** What ends every hover over a word: its number and its text to copy, and what they mean. */
import { commandLink, copyText, howToRead, MAX_COPIED_UNITS } from "../../protocol/commands.ts";

/** A hover's Markdown with its links, and at its end what is looked through. `value` is the number that it begins with; null where there is none. */
export function withLinks(said: string, value: number | null, through: string): string {
  const links = [
    ...(value === null ? [] : [copyLink("Copy value", String(Number(value.toPrecision(6))))]),
    copyLink("Copy as Markdown", withoutCommands(said)),
    `[How to read this](${commandLink(howToRead, {})})`,
    through,
  ];
  return `${said}\n\n${links.join(" · ")}`;
}

function copyLink(label: string, text: string): string {
  return `[${label}](${commandLink(copyText, { text: text.slice(0, MAX_COPIED_UNITS) })})`;
}

/** For where nobody can run them: what would only act goes, the rest stays as text. */
function withoutCommands(markdown: string): string {
  return markdown.replace(/ · \[ablate\]\(command:[^)]*\)/g, "").replace(/\[([^\]]*)\]\(command:[^)]*\)/g, "$1");
}
