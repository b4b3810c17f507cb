import { css } from "lit";

/** What all components share: headings, quiet text, links, buttons that look like links, tables, chips. */
export const shared = css`
  :host { display: block; }
  [hidden] { display: none !important; }
  h1 { font-size: 16px; font-weight: 600; margin: 0 0 2px; }
  h2 { font-size: 14px; font-weight: 600; margin: 18px 0 6px; }
  h3 { font-size: 13px; font-weight: 600; margin: 0; }
  .dim { color: var(--lfp-dim); }
  .small { font-size: 12px; }
  .num { text-align: right; font-variant-numeric: tabular-nums; }
  .link {
    appearance: none; background: none; border: 0; padding: 0; margin: 0; font: inherit; cursor: pointer;
    color: var(--vscode-textLink-foreground);
  }
  .link:hover { text-decoration: underline; }
  .link:focus-visible, [tabindex]:focus-visible { outline: 1px solid var(--vscode-focusBorder); outline-offset: 1px; }
  .error { color: var(--vscode-errorForeground); }
  .tools { display: flex; flex-wrap: wrap; gap: 8px; margin: 8px 0; align-items: center; }
  .chip { border: 1px solid var(--lfp-line); border-radius: 8px; padding: 0 7px; font-size: 11px; white-space: nowrap; }
  .chip.positive { border-color: rgb(var(--pos)); }
  .chip.negative { border-color: rgb(var(--neg)); }
  table.data { border-collapse: collapse; font-size: 12px; }
  table.data th, table.data td { padding: 3px 10px 3px 0; border-bottom: 1px solid var(--lfp-line); text-align: left; vertical-align: top; }
  table.data th { font-weight: 600; white-space: nowrap; }
  table.data .num { text-align: right; }
`;
