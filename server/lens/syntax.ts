/**
 * The parts of a document that are no running text, by its language: markup, code, formulas, addresses. One table of
 * patterns a language. Every pattern takes linear time: repetitions within a line have bounds, and what is never closed
 * reaches to the end. Only patterns that keep groups ask for their places, which is slow.
 */

/** A part of a document that is not read, in UTF-16 units. */
export interface Gap {
  readonly start: number;
  readonly end: number;
}

/** What a pattern matches is not read, except its groups. */
type Patterns = readonly RegExp[];

const markdown: Patterns = [
  // Front matter, fenced code, comments.
  /^---\r?\n(?=[^\n]*\S)[\s\S]*?(?:\n---[ \t]*(?=\r?$)|$(?![\s\S]))/gmu,
  /^ {0,3}(?:```|~~~)[^\n]*(?:\n[\s\S]*?(?:^ {0,3}(?:```|~~~)[`~ \t]*(?=\r?$)|$(?![\s\S]))|$(?![\s\S]))/gmu,
  /<!--[\s\S]*?(?:-->|$(?![\s\S]))/gu,
  // Marks at the beginning of a line: headings, quotes, lists; lines that only rule or underline; tables' second row.
  /^(?:[ \t]*>[ \t]?){0,50}[ \t]*(?:#{1,6}[ \t]+|[-*+][ \t]+(?:\[[ xX]\][ \t]+)?|\d{1,9}[.)][ \t]+)/gmu,
  /^(?:[ \t]*>[ \t]?){1,50}/gmu,
  /^[ \t]*(?:[-=*_][ \t]*){3,200}(?=\r?$)/gmu,
  /^[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|){1,200}(?:[ \t]*:?-+:?)?[ \t]*(?=\r?$)/gmu,
  /[ \t]+#+[ \t]*(?=\r?$)/gmu,
  // Links and pictures keep their text; definitions of links, addresses and tags go.
  /!?\[([^[\]\n]{0,1000})\]\([^()\n]{0,2000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)/dgu,
  /!?\[([^[\]\n]{1,1000})\]\[[^[\]\n]{0,500}\]/dgu,
  /^ {0,3}\[[^[\]\n]{1,500}\]:[^\n]*/gmu,
  /<?\bhttps?:\/\/[^\s<>)\]]{1,2000}>?/giu,
  /<\/?[a-zA-Z][^<>\n]{0,1000}>/gu,
  // Marks around words: emphasis, strikes, code.
  /\*{1,3}(?=\S)|(?<=\S)\*{1,3}|~~|`+/gu,
  /(?<![\p{L}\p{N}_])_{1,3}(?=\S)|(?<=\S)_{1,3}(?![\p{L}\p{N}_])/gu,
];

/** Environments of LaTeX whose content is no running text. */
const latexBlocks =
  "equation|align|alignat|gather|multline|eqnarray|displaymath|math|verbatim|lstlisting|minted|tikzpicture|tabular|tabularx|array|thebibliography|algorithm|algorithmic";

const latex: Patterns = [
  /^[\s\S]*?\\begin\{document\}/gu,
  /[ \t]{0,20}(?<!\\)%[^\n]*/gu,
  new RegExp(
    `\\\\begin\\{(?<name>${latexBlocks})(?<star>\\*?)\\}[\\s\\S]*?(?:\\\\end\\{\\k<name>\\k<star>\\}|$(?![\\s\\S]))`,
    "dgu",
  ),
  /\$\$[\s\S]*?(?:\$\$|$(?![\s\S]))/gu,
  /(?<![\\$])\$[^$\n]{1,2000}\$/gu,
  /\\\([^\n]{0,2000}?\\\)/gu,
  /\\\[[\s\S]*?(?:\\\]|$(?![\s\S]))/gu,
  // Commands with arguments that name something; of all others the arguments are text.
  /\\(?:begin|end|label|ref|eqref|pageref|autoref|cref|Cref|cite[a-zA-Z]*|nocite|url|input|include|includegraphics|bibliography|bibliographystyle|usepackage|documentclass|newcommand|renewcommand|setlength|vspace|hspace|definecolor|color|hypersetup|pagestyle|thispagestyle)\*?(?:\[[^\]\n]{0,500}\]|\{[^{}\n]{0,500}\})*/gu,
  /\\href\{[^{}\n]{0,2000}\}/gu,
  /\\(?:[a-zA-Z]+\*?(?:\[[^\]\n]{0,500}\])?|[^a-zA-Z\s])/gu,
  /[{}]/gu,
];

const restructuredtext: Patterns = [
  // Directives with code or settings, and comments, with all that is indented below; others keep their content.
  /^[ \t]*\.\.[ \t]+(?:code|code-block|sourcecode|math|raw|image|figure|toctree|include|literalinclude|highlight|index|contents|default-role|role|csv-table|list-table)::[^\n]*(?:\n(?:[ \t]+[^\n]*|[ \t]*(?=\r?\n[ \t]+\S))){0,2000}/gmu,
  /^[ \t]*\.\.[ \t]+[\w-]+::/gmu,
  /^[ \t]*\.\.[ \t]+(?![\w-]+::)[^\n]*/gmu,
  /^[ \t]*:[\w -]{1,100}:(?=\s|$)[^\n]*/gmu,
  /^[ \t]*(?:[-=~^"'`#*+.:_][ \t]?){3,300}(?=\r?$)/gmu,
  /^[ \t]*(?:[-*+•]|\d{1,9}[.)]|\(\d{1,9}\)|#\.)[ \t]+/gmu,
  // Links, roles and marks around words.
  /`([^`<\n]{0,1000}?)[ \t]*<[^`<>\n]{1,2000}>`__?/dgu,
  /:[\w:-]{1,60}:`([^`\n]{0,1000})`/dgu,
  /<?\bhttps?:\/\/[^\s<>)\]]{1,2000}>?/giu,
  /\*{1,2}(?=\S)|(?<=\S)\*{1,2}|`{1,2}(?:__?(?![\p{L}\p{N}]))?|::(?=\r?$)/gmu,
];

/** The patterns by VS Code's language id; other languages have no syntax here. */
const byLanguage: ReadonlyMap<string, Patterns> = new Map([
  ["markdown", markdown],
  ["latex", latex],
  ["tex", latex],
  ["restructuredtext", restructuredtext],
]);

/** The parts of a document that are not read, in order and disjoint. */
export function gapsOf(text: string, languageId: string): Gap[] {
  const found: Gap[] = [];
  for (const pattern of byLanguage.get(languageId) ?? [])
    for (const match of text.matchAll(pattern)) found.push(...withoutGroups(match));
  return merged(found);
}

/** What a match covers without its unnamed groups, which are text. */
function withoutGroups({ 0: whole, index, groups, indices }: RegExpExecArray): Gap[] {
  const gaps: Gap[] = [];
  let from = index;
  // A pattern with named groups refers back to them, and keeps nothing.
  for (const kept of groups === undefined ? (indices?.slice(1) ?? []) : []) {
    if (kept === undefined) continue;
    const [start, end] = kept;
    if (start > from) gaps.push({ start: from, end: start });
    from = end;
  }
  const end = index + whole.length;
  if (end > from) gaps.push({ start: from, end });
  return gaps;
}

function merged(gaps: Gap[]): Gap[] {
  gaps.sort((one, other) => one.start - other.start || one.end - other.end);
  const joined: Gap[] = [];
  let last: Gap | undefined;
  for (const gap of gaps) {
    if (last !== undefined && gap.start <= last.end) {
      last = { start: last.start, end: Math.max(last.end, gap.end) };
      joined[joined.length - 1] = last;
    } else {
      last = gap;
      joined.push(gap);
    }
  }
  return joined;
}
