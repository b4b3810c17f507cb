/**
 * Samples one id per row from probabilities, on the device: greedy, the whole distribution, or within top-k and then
 * top-p. It does not sort: a radix select finds thresholds in descending order of probability, digit by digit over
 * the bits of non-negative floats (which order like integers), with a histogram in workgroup memory of the weight per
 * digit. One workgroup per row.
 */
import { defineKernel, foldedGrid, type Launch, lanesFor, sumAll } from "./wgsl.ts";

export interface SampleShape {
  readonly rows: number;
  readonly columns: number;
  /** Ids from here on are never drawn. */
  readonly limit: number;
  /** Ids that are excluded if the fourth setting is not 0. */
  readonly bannable: readonly number[];
}

/**
 * (probabilities [rows, columns], uniforms [rows], settings [top-k, top-p, greedy, ban]) -> ids [rows]. `failed` [1],
 * initially 2^32 - 1, becomes the first row that is NaN.
 */
export function sampleLaunch({ rows, columns, limit, bannable }: SampleShape): Launch {
  const size = lanesFor(columns);
  const banned = bannable.map((id) => `id == ${id}u`).join(" || ");
  const kernel = defineKernel({
    name: "sampleRows",
    bindings: [
      { name: "probs", type: "f32", access: "read" },
      { name: "uniforms", type: "f32", access: "read" },
      { name: "settings", type: "f32", access: "read" },
      { name: "ids", type: "i32", access: "read_write" },
      { name: "failed", type: "atomic<u32>", access: "read_write" },
    ],
    params: [
      { name: "rows", type: "u32" },
      { name: "columns", type: "u32" },
      { name: "limit", type: "u32" },
    ],
    size,
    declarations: `
fn isOut(id: u32) -> bool { return ${banned === "" ? "false" : `settings[3] != 0.0f && (${banned})`}; }
${helpers(size, columns)}`,
    body: body(size),
  });
  return { kernel, params: [rows, columns, Math.min(limit, columns)], grid: foldedGrid(rows) };
}

/**
 * Fixed-point weights instead of probabilities, so that the order of additions does not matter: 24 bits relative to the
 * sum of all, then `lowBits` more in a second word, chosen so that adding all entries cannot overflow it.
 */
function helpers(size: number, columns: number): string {
  const digit = Math.log2(size);
  const lowBits = Math.min(14, 32 - Math.ceil(Math.log2(columns)));
  return `
var<workgroup> high: array<atomic<u32>, ${size}>;
var<workgroup> low: array<atomic<u32>, ${size}>;
var<workgroup> sums: array<vec2u, ${size}>;
struct Reached { bits: u32, rest: vec2u }
var<workgroup> reached: Reached;
var<private> scale: f32;
${sumAll(size)}
fn bitsOf(base: u32, id: u32) -> u32 { return select(bitcast<u32>(max(probs[base + id], 0.0f)), 0u, isOut(id)); }

fn weightOf(bits: u32) -> vec2u {
  let scaled = bitcast<f32>(bits) * scale;
  let whole = floor(scaled);
  return vec2u(u32(whole), u32((scaled - whole) * ${2 ** lowBits}.0f));
}
fn carried(weight: vec2u) -> vec2u { return vec2u(weight.x + (weight.y >> ${lowBits}u), weight.y & ${2 ** lowBits - 1}u); }
fn isLess(a: vec2u, b: vec2u) -> bool { return a.x < b.x || (a.x == b.x && a.y < b.y); }
fn minus(a: vec2u, b: vec2u) -> vec2u {
  let borrowed = a.y < b.y;
  return vec2u(a.x - b.x - select(0u, 1u, borrowed), a.y - b.y + select(0u, ${2 ** lowBits}u, borrowed));
}
/** The high and the low word of a product. */
fn product(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return vec2u((a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u), (other << 16u) | (low & 0xffffu));
}
struct Share { whole: vec2u, isRounded: bool }
/** \`part\`, below 1 and taken to 32 bits, of a weight, rounded down. */
fn share(part: f32, weight: vec2u) -> Share {
  let factor = u32(part * 4294967296.0f);
  let a = product(weight.x, factor);
  let b = product(weight.y, factor);
  let rest = (a.y << ${lowBits}u) + b.y;
  let whole = vec2u(a.x, (a.y >> ${32 - lowBits}u) + b.x + select(0u, 1u, rest < b.y));
  return Share(carried(whole), rest != 0u);
}
/** How many of \`each\` it takes to reach \`wanted\`. */
fn timesToReach(wanted: vec2u, each: vec2u) -> u32 {
  let ratio = (f32(wanted.x) * ${2 ** lowBits}.0f + f32(wanted.y)) / (f32(each.x) * ${2 ** lowBits}.0f + f32(each.y));
  var times = max(u32(ratio), 1u);
  if (times > 1u && !isLess(carried((times - 1u) * each), wanted)) { times--; }
  if (isLess(carried(times * each), wanted)) { times++; }
  return times;
}

/** The sum of \`weight\` over this lane and all above. */
fn sumFrom(weight: vec2u, lane: u32) -> vec2u {
  sums[lane] = weight;
  workgroupBarrier();
  for (var step = 1u; step < ${size}u; step <<= 1u) {
    var other = vec2u(0u);
    if (lane + step < ${size}u) { other = sums[lane + step]; }
    workgroupBarrier();
    sums[lane] += other;
    workgroupBarrier();
  }
  return sums[lane];
}

/** The weight of all entries above \`edge\` and of \`ties\` at it. */
fn heldBy(base: u32, lane: u32, edge: u32, ties: u32) -> vec2u {
  var own = select(vec2u(0u), ties * weightOf(edge), lane == 0u);
  for (var id = lane; id < p.limit; id += ${size}u) {
    let bits = bitsOf(base, id);
    if (bits > edge) { own += weightOf(bits); }
  }
  sumFrom(own, lane);
  return carried(workgroupUniformLoad(&sums[0]));
}

/**
 * The bits of the entry at which the sum from the most probable on reaches \`wanted\`, ${digit} bits at a time, and what is wanted of those with these
 * bits. Every entry weighs 1 when counted; else those above \`edge\` weigh what they hold, of those at it only \`ties\`, and none below.
 */
fn reach(base: u32, lane: u32, wanted: vec2u, counted: bool, edge: u32, ties: u32) -> Reached {
  var found = Reached(0u, wanted);
  for (var shift = ${Math.ceil(32 / digit) * digit}u; shift > 0u; ) {
    let above = select(0xffffffffu << (shift & 31u), 0u, shift >= 32u);
    shift -= ${digit}u;
    atomicStore(&high[lane], 0u);
    atomicStore(&low[lane], 0u);
    workgroupBarrier();
    for (var id = lane; id < p.limit; id += ${size}u) {
      let bits = bitsOf(base, id);
      if ((bits & above) == found.bits && (counted || bits > edge)) {
        let weight = select(weightOf(bits), vec2u(1u, 0u), counted);
        let bin = (bits >> shift) & ${size - 1}u;
        atomicAdd(&high[bin], weight.x);
        atomicAdd(&low[bin], weight.y);
      }
    }
    workgroupBarrier();
    var own = vec2u(atomicLoad(&high[lane]), atomicLoad(&low[lane]));
    if ((edge & above) == found.bits && ((edge >> shift) & ${size - 1}u) == lane) { own += ties * weightOf(edge); }
    let upward = sumFrom(own, lane);
    let before = carried(upward - own);
    // The one digit at which the sum from the top reaches what is wanted.
    if (!isLess(carried(upward), found.rest) && isLess(before, found.rest)) {
      reached = Reached(found.bits | (lane << shift), minus(found.rest, before));
    }
    found = workgroupUniformLoad(&reached);
  }
  return found;
}`;
}

/**
 * Three searches: the k-th most probable entry, the least probable one within top-p, and the one at which the
 * cumulative sum, from the most probable on, exceeds the uniform's share.
 */
const searches = `
    let one = vec2u(0u, 1u);
    var edge = 0u;
    var ties = 0u;
    if (greedy || (topK > 0u && topK < p.limit)) {
      let kth = reach(base, lane, vec2u(select(topK, 1u, greedy), 0u), true, 0u, 0u);
      edge = kth.bits;
      ties = kth.rest.x;
    }
    drawn = edge;
    if (!greedy) {
      var held = heldBy(base, lane, edge, ties);
      if (settings[1] < 1.0f) {
        let enough = share(settings[1], held);
        var wanted = enough.whole;
        if (enough.isRounded || isLess(wanted, one)) { wanted = carried(wanted + one); }
        let least = reach(base, lane, wanted, false, edge, ties);
        edge = least.bits;
        ties = timesToReach(least.rest, weightOf(edge));
        held = carried(minus(wanted, least.rest) + ties * weightOf(edge));
      }
      var wanted = carried(share(uniform, held).whole + one);
      if (isLess(held, wanted)) { wanted = held; }
      let last = reach(base, lane, wanted, false, edge, ties);
      drawn = last.bits;
      tie = timesToReach(last.rest, weightOf(drawn)) - 1u;
    }`;

const body = (size: number): string => `
  if (group >= p.rows) { return; }
  let base = group * p.columns;
  let uniform = uniforms[group];
  let greedy = settings[2] != 0.0f;
  let topK = u32(max(settings[0], 0.0f));
  // Softmax makes all of a row NaN or none of it.
  if ((bitcast<u32>(probs[base]) & 0x7fffffffu) > 0x7f800000u) {
    if (lane == 0u) {
      atomicMin(&failed[0], group);
      ids[group] = 0;
    }
    return;
  }
  var whole = !greedy && (topK == 0u || topK >= p.limit) && settings[1] >= 1.0f;
  // What there is to draw from: all but 1, unless ids are out that may hold any share of it.
  var all = 1.0f;
  if (!whole || settings[3] != 0.0f) {
    var part = 0.0f;
    for (var id = lane; id < p.limit; id += ${size}u) { part += bitcast<f32>(bitsOf(base, id)); }
    all = sumAll(part, lane);
  }
  // Of nothing the first id is drawn.
  whole = whole || all == 0.0f;
  scale = bitcast<f32>(min(277u - (bitcast<u32>(all) >> 23u), 254u) << 23u);
  // The entry that is drawn, and which of those just as probable; neither matters when the whole distribution is inverted.
  var drawn = 0u;
  var tie = 0u;
  if (!whole) {${searches}
  }
  // Each lane owns neighbouring ids, so that sums over lanes in their order are sums over ids in theirs.
  let span = (p.limit + ${size - 1}u) / ${size}u;
  let first = min(lane * span, p.limit);
  let end = min(first + span, p.limit);
  var own = vec2u(0u);
  for (var id = first; id < end; id++) {
    let bits = bitsOf(base, id);
    own += select(vec2u(select(0u, 1u, bits == drawn), 0u), weightOf(bits), whole);
  }
  let upward = sumFrom(own, lane);
  let total = workgroupUniformLoad(&sums[0]);
  var goal = vec2u(tie, 0u);
  if (whole) { goal = share(uniform, carried(total)).whole; }
  // The first id at which the sum passes the goal, found by the one lane that has it.
  var sum = total - upward;
  if (!isLess(goal, carried(sum)) && isLess(goal, carried(sum + own))) {
    for (var id = first; id < end; id++) {
      let bits = bitsOf(base, id);
      sum += select(vec2u(select(0u, 1u, bits == drawn), 0u), weightOf(bits), whole);
      if (isLess(goal, carried(sum))) {
        ids[group] = i32(id);
        break;
      }
    }
  }
  if (lane == 0u && !isLess(goal, carried(total))) { ids[group] = 0; }`;
