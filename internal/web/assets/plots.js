// The plots of a connection: its lanes, its throughput, its round-trip times. Each draws into
// an SVG element what a view holds: the axis, the lanes of the connection, and its samples.
import { RIGHT } from './axis.js';
import { area, line, ticks, times } from './chart.js';
import { clock, rate, s } from './dom.js';
import { rates } from './samples.js';

const LANE = 30;
const BOTTOM = 22;
const TOP = 12;
const GAP = 5000; // longer without a sample is drawn as a gap

// color returns the number of the color of a subflow: that of its lane.
export function color(lanes, subflow) {
  const i = lanes.findIndex((l) => l.name === `${subflow.local} ${subflow.remote}`);
  return (i < 0 ? 7 : i) % 8;
}

// frame returns what all plots have: the grid of times.
function frame(svg, axis, height, name) {
  svg.setAttribute('viewBox', `0 0 ${axis.width} ${height}`);
  svg.setAttribute('height', height);
  svg.setAttribute('aria-label', name);
  const [from, to] = axis.range();
  const parts = [];
  for (const t of times(from, to, axis.width - axis.left)) {
    const x = axis.x(t);
    const anchor = x > axis.width - 40 ? 'end' : 'middle';
    parts.push(
      s('line', { class: 'axis', x1: x, x2: x, y1: 0, y2: height - BOTTOM + 4 }),
      s('text', { class: 'faint', x, y: height - 5, 'text-anchor': anchor }, clock(t).slice(0, 8)),
    );
  }
  return parts;
}

// values returns the places of values between 0 and a top, and pushes lines with their units.
function values(parts, axis, height, top, least, format) {
  const steps = ticks(top, least);
  const y = (v) => height - BOTTOM - (v / steps.at(-1)) * (height - BOTTOM - TOP);
  for (const v of steps) {
    const place = { x1: axis.left, x2: axis.width - RIGHT, y1: y(v), y2: y(v) };
    parts.push(
      s('line', { class: 'axis', ...place }),
      s('text', { class: 'faint', x: axis.left - 8, y: y(v) + 4, 'text-anchor': 'end' }, format(v)),
    );
  }
  return y;
}

function cursor(axis, height) {
  if (axis.at === null) return [];
  const x = axis.clip(axis.at);
  return [s('line', { class: 'cursor', x1: x, x2: x, y1: 0, y2: height - BOTTOM })];
}

function mark(axis, m, y) {
  if (!axis.shows(m.at)) return null;
  const title = s('title', {}, `${clock(m.at)} ${m.event} ${m.text || ''}`);
  const d = `M${axis.x(m.at)} ${y - 6}l5 6l-5 6l-5-6z`;
  return s('path', { class: `mark ${m.kind}`, d, 'data-event': m.event }, title);
}

function segment(axis, lane, part, y) {
  const [a, b] = [axis.clip(part.from), axis.clip(part.to ?? axis.now())];
  if (b <= a) return null;
  const state = part.state === 'established' && lane.backup ? 'backup' : part.state;
  const place = { x: a, width: Math.max(1.5, b - a), y: y + 7, height: LANE - 14, rx: 3 };
  const title = s('title', {}, `${lane.name}: ${state}`);
  return s('rect', { class: `seg ${state}`, ...place, 'data-state': state }, title);
}

// ending says why a lane ended, behind its end, or before it where there is no room.
function ending(axis, lane, y) {
  if (lane.end === undefined || !axis.shows(lane.end)) return null;
  const text = lane.reason || 'closed';
  const x = axis.clip(lane.end);
  const inside = x + 12 + text.length * 8 > axis.width;
  const place = inside ? { x: x - 10, 'text-anchor': 'end' } : { x: x + 10, 'text-anchor': 'start' };
  return s('text', { class: inside ? 'inside' : 'faint', y: y + 19, ...place }, text);
}

const stateOf = (lane) => (lane.end === undefined ? lane.segments.at(-1)?.state : 'closed');

function drawLane(axis, lane, i) {
  const y = (i + 1) * LANE;
  const [local] = lane.name.split(' ');
  const swatch = s('tspan', { class: `p${i % 8}` }, '■ ');
  const wide = axis.left > 200;
  const device = { x: axis.left - 8, y: y + 19, 'text-anchor': 'end', class: 'faint' };
  return s(
    'g',
    { class: 'lane', 'data-lane': lane.name, 'data-state': stateOf(lane) },
    s('text', { x: 6, y: y + 19 }, swatch, local.slice(0, wide ? 22 : 12), s('title', {}, lane.name)),
    wide ? s('text', device, (lane.device || '').slice(0, local.length > 14 ? 8 : 15)) : null,
    lane.segments.map((part) => segment(axis, lane, part, y)),
    ending(axis, lane, y),
    lane.marks.map((m) => mark(axis, m, y + LANE / 2)),
  );
}

export function drawLanes(svg, { axis, model }) {
  const height = (model.lanes.length + 1) * LANE + 26;
  const states = model.lanes.map((l) => `${l.name} ${l.reason || l.segments.at(-1)?.state || ''}`);
  const parts = frame(svg, axis, height, `Timeline of ${model.lanes.length} subflows: ` + states.join('; '));
  parts.push(s('text', { x: 6, y: 20, class: 'faint' }, 'connection'));
  parts.push(...model.marks.map((m) => mark(axis, m, 15)).filter(Boolean));
  parts.push(...model.lanes.map((l, i) => drawLane(axis, l, i)));
  svg.replaceChildren(...parts, ...cursor(axis, height));
}

export function drawThroughput(svg, { axis, model, samples }) {
  const height = 170;
  const parts = frame(svg, axis, height, 'Throughput of each subflow, stacked');
  const seen = rates(samples).filter((p) => axis.shows(p.t));
  const top = Math.max(0, ...seen.map((p) => p.values.reduce((a, b) => a + b, 0)));
  const place = { x: (t) => axis.x(t), y: values(parts, axis, height, top, 1000, rate) };
  let lower = seen.map(() => 0);
  samples.subflows.forEach((f, n) => {
    const upper = seen.map((p, i) => lower[i] + (p.values[n] || 0));
    const look = { class: `area p${color(model.lanes, f)}`, 'data-subflow': f.local };
    parts.push(area(place, seen, lower, upper, look));
    lower = upper;
  });
  svg.replaceChildren(...parts.filter(Boolean), ...cursor(axis, height));
}

const short = (us) => (us ? Number((us / 1000).toPrecision(3)) + ' ms' : '0');

export function drawRTT(svg, { axis, model, samples }) {
  const height = 150;
  const parts = frame(svg, axis, height, 'Round-trip time of each subflow');
  const seen = samples.points.filter((p) => axis.shows(p.t));
  const top = Math.max(0, ...seen.flatMap((p) => p.f.map((f) => f.rtt)));
  const place = { x: (t) => axis.x(t), y: values(parts, axis, height, top, 100, short) };
  samples.subflows.forEach((f, n) => {
    const of = seen.flatMap((p) => p.f.filter((v) => v.s === n && v.rtt).map((v) => [p.t, v.rtt]));
    parts.push(...line(place, of, { class: `curve p${color(model.lanes, f)}` }, GAP));
  });
  svg.replaceChildren(...parts, ...cursor(axis, height));
}
