/**
 * The last line of every hover over a word: links to copy its number or its text, and to the explanation of the
 * numbers.
 */
import { commandLink, copyText, howToRead, MAX_COPIED_UNITS } from "../../protocol/commands.ts";

/**
 * A hover's Markdown with its links, ending with the lens's target. `value` is the number with which it begins; null if
 * there is none. The copy as Markdown has `whole`, which may say more than the hover.
 */
export function withLinks(said: string, value: number | null, through: string, whole = said): string {
  const links = [
    ...(value === null ? [] : [copyLink("Copy value", String(Number(value.toPrecision(6))))]),
    copyLink("Copy as Markdown", withoutCommands(whole)),
    `[How to read this](${commandLink(howToRead, {})})`,
    through,
  ];
  return `${said}\n\n${links.join(" · ")}`;
}

function copyLink(label: string, text: string): string {
  return `[${label}](${commandLink(copyText, { text: text.slice(0, MAX_COPIED_UNITS) })})`;
}

/**
 * Removes command links, for Markdown copied to where they cannot run: links that only act go, the text of others
 * stays.
 */
function withoutCommands(markdown: string): string {
  return markdown.replace(/ · \[ablate\]\(command:[^)]*\)/g, "").replace(/\[([^\]]*)\]\(command:[^)]*\)/g, "$1");
}
