/** Dates as Python's `strftime` writes them, for templates that call `strftime_now`. */

/**
 * What `strftime_now` gives where nobody says otherwise: not today, because the same messages must give the same tokens on
 * every day. The date is the one that Llama 3.2's template writes where that function is missing.
 */
export const fixedNow = new Date("2024-07-26T00:00:00Z");

/** The moment that a text such as 2025-06-28 or 2025-06-28T10:30:00 names, read as UTC; undefined for other texts. */
export function momentOf(text: unknown): Date | undefined {
  if (typeof text !== "string" || !/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?$/.test(text)) return undefined;
  const moment = new Date(text.includes("T") ? `${text}Z` : text);
  // JavaScript counts the 31st of a shorter month on into the next.
  return moment.getTime() >= 0 && moment.toISOString().startsWith(text) ? moment : undefined;
}

/** Writes a moment (in UTC) by Python's directives, in English. Throws for a directive that is none of `directives`. */
export function strftime(moment: Date, format: string): string {
  return format.replaceAll(/%(-?.?)/gsu, (whole, directive: string) => {
    const write = directives.get(directive.replace("-", ""));
    if (write === undefined) throw new Error(`strftime_now does not know ${whole}`);
    const written = write(moment);
    return directive.startsWith("-") ? written.replace(/^0+(?=\d)/, "") : written;
  });
}

const padded = (value: number, digits = 2): string => String(value).padStart(digits, "0");
const named = (options: Intl.DateTimeFormatOptions) => {
  const names = new Intl.DateTimeFormat("en-US", { ...options, timeZone: "UTC" });
  return (moment: Date): string => names.format(moment);
};
const dayOfYear = (moment: Date): number =>
  1 + Math.floor((moment.getTime() - Date.UTC(moment.getUTCFullYear(), 0, 1)) / 86_400_000);

const directives: ReadonlyMap<string, (moment: Date) => string> = new Map([
  ["Y", (moment) => padded(moment.getUTCFullYear(), 4)],
  ["y", (moment) => padded(moment.getUTCFullYear() % 100)],
  ["m", (moment) => padded(moment.getUTCMonth() + 1)],
  ["B", named({ month: "long" })],
  ["b", named({ month: "short" })],
  ["d", (moment) => padded(moment.getUTCDate())],
  ["j", (moment) => padded(dayOfYear(moment), 3)],
  ["A", named({ weekday: "long" })],
  ["a", named({ weekday: "short" })],
  ["H", (moment) => padded(moment.getUTCHours())],
  ["I", (moment) => padded(((moment.getUTCHours() + 11) % 12) + 1)],
  ["p", (moment) => (moment.getUTCHours() < 12 ? "AM" : "PM")],
  ["M", (moment) => padded(moment.getUTCMinutes())],
  ["S", (moment) => padded(moment.getUTCSeconds())],
  ["%", () => "%"],
]);
