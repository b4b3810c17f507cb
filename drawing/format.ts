/** Numbers as people read them: a real minus sign, a sign where it matters, thin spaces before units. */

const narrowSpace = "\u202f";

/** `+0.61`, `−0.52`, `0.00`. */
export function signed(value: number, digits = 2): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return `${value < 0 ? "−" : "+"}${text}`;
}

/** `0.61`, `−0.52`: a sign only below zero. */
export function plain(value: number, digits = 2): string {
  return `${value < 0 && Number(value.toFixed(digits)) !== 0 ? "−" : ""}${Math.abs(value).toFixed(digits)}`;
}

/** A share as per cent: `2.1 %`, `0.013 %`. */
export function percent(share: number): string {
  const value = 100 * share;
  const text = value !== 0 && Math.abs(value) < 1 ? String(Number(value.toPrecision(2))) : value.toFixed(1);
  return `${text.replace("-", "−")}${narrowSpace}%`;
}

/** `0.81 ± 0.06`, from an interval's ends; the larger side where they differ. */
export function withInterval(value: number, low: number, high: number, show = plain): string {
  return `${show(value)} ± ${Math.max(high - value, value - low).toFixed(2)}`;
}

/** `12,408`. */
export function count(value: number): string {
  return value.toLocaleString("en-GB");
}

/** Four significant digits at most: for numbers of any size. */
export function short(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return count(value).replace("-", "−");
  const size = Math.abs(value);
  const text = size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
  return text.replace(/-/g, "−");
}

/** `41 s`, `2:41`, `1:02:41`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}${narrowSpace}s`;
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, at) => (at === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}

/** A sentence whose negative numbers have a real minus sign; hyphens stay. */
export function prose(text: string): string {
  return text.replaceAll(/(?<=^|[\s(])-(?=\d)/g, "−");
}
