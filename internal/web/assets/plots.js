// The plots of a connection: its lanes, its throughput, its round-trip times. Each draws into
// an SVG element what a view holds: the axis, the lanes of the connection, and its samples.
import { LEFT, WIDTH } from './axis.js';
import { clock, millis, rate, s } from './dom.js';
import { rates } from './samples.js';

const LANE = 30;

// color returns the number of the color of a subflow: that of its lane.
export function color(lanes, subflow) {
  const i = lanes.findIndex((l) => l.name === `${subflow.local} ${subflow.remote}`);
  return (i < 0 ? 7 : i) % 8;
}

// frame returns what all plots have: the grid of times.
function frame(svg, axis, height, name) {
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${height}`);
  svg.setAttribute('aria-label', name);
  const [from, to] = axis.range();
  const digits = axis.span < 20000 ? 12 : 8;
  const parts = [];
  for (let i = 0; i <= 5; i++) {
    const t = from + ((to - from) * i) / 5;
    const x = axis.x(t);
    const anchor = i === 5 ? 'end' : i ? 'middle' : 'start';
    parts.push(
      s('line', { class: 'axis', x1: x, x2: x, y1: 0, y2: height - 18 }),
      s('text', { class: 'faint', x, y: height - 5, 'text-anchor': anchor }, clock(t).slice(0, digits)),
    );
  }
  return parts;
}

function cursor(axis, height) {
  if (axis.at === null) return [];
  const x = axis.clip(axis.at);
  return [s('line', { class: 'cursor', x1: x, x2: x, y1: 0, y2: height - 18 })];
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
  const inside = x + 12 + text.length * 8 > WIDTH;
  const place = inside ? { x: x - 10, 'text-anchor': 'end' } : { x: x + 10, 'text-anchor': 'start' };
  return s('text', { class: inside ? 'inside' : 'faint', y: y + 19, ...place }, text);
}

const stateOf = (lane) => (lane.end === undefined ? lane.segments.at(-1)?.state : 'closed');

function drawLane(axis, lane, i) {
  const y = (i + 1) * LANE;
  const [local] = lane.name.split(' ');
  const swatch = s('tspan', { class: `p${i % 8}` }, '■ ');
  const device = { x: LEFT - 6, y: y + 19, 'text-anchor': 'end', class: 'faint' };
  return s(
    'g',
    { class: 'lane', 'data-lane': lane.name, 'data-state': stateOf(lane) },
    s('text', { x: 6, y: y + 19 }, swatch, local.slice(0, 24), s('title', {}, lane.name)),
    s('text', device, (lane.device || '').slice(0, 8)),
    lane.segments.map((part) => segment(axis, lane, part, y)),
    ending(axis, lane, y),
    lane.marks.map((m) => mark(axis, m, y + LANE / 2)),
  );
}

export function drawLanes(svg, { axis, model }) {
  const height = (model.lanes.length + 1) * LANE + 26;
  const states = model.lanes.map((l) => `${l.name} ${l.reason || l.segments.at(-1)?.state || ''}`);
  const parts = frame(svg, axis, height, `Timeline of ${model.lanes.length} subflows: ` + states.join('; '));
  parts.push(s('text', { x: 6, y: 20 }, 'connection'));
  parts.push(...model.marks.map((m) => mark(axis, m, 15)).filter(Boolean));
  parts.push(...model.lanes.map((l, i) => drawLane(axis, l, i)));
  svg.replaceChildren(...parts, ...cursor(axis, height));
}

const upTo = (text) => s('text', { class: 'faint', x: 6, y: 16 }, 'up to ' + text);

export function drawThroughput(svg, { axis, model, samples }) {
  const height = 150;
  const parts = frame(svg, axis, height, 'Throughput of each subflow, stacked');
  const seen = rates(samples).filter((p) => axis.shows(p.t));
  const top = Math.max(1000, ...seen.map((p) => p.values.reduce((a, b) => a + b, 0)));
  const y = (v) => height - 22 - (v / top) * (height - 40);
  const floor = seen.map(() => 0);
  samples.subflows.forEach((f, n) => {
    if (seen.length < 2) return;
    const lower = seen.map((p, i) => `${axis.x(p.t)},${y(floor[i])}`);
    const upper = seen.map((p, i) => `${axis.x(p.t)},${y((floor[i] += p.values[n] || 0))}`);
    const points = [...upper, ...lower.reverse()].join(' ');
    parts.push(s('polygon', { class: `area p${color(model.lanes, f)}`, points, 'data-subflow': f.local }));
  });
  svg.replaceChildren(...parts, upTo(rate(top)), ...cursor(axis, height));
}

export function drawRTT(svg, { axis, model, samples }) {
  const height = 130;
  const parts = frame(svg, axis, height, 'Round-trip time of each subflow');
  const seen = samples.points.filter((p) => axis.shows(p.t));
  const top = Math.max(100, ...seen.flatMap((p) => p.f.map((f) => f.rtt)));
  const y = (v) => height - 22 - (v / top) * (height - 40);
  samples.subflows.forEach((f, n) => {
    const values = seen.flatMap((p) => p.f.filter((v) => v.s === n && v.rtt).map((v) => [p.t, v.rtt]));
    const points = values.map(([t, rtt]) => `${axis.x(t)},${y(rtt)}`);
    if (points.length < 2) return;
    parts.push(s('polyline', { class: `curve p${color(model.lanes, f)}`, points: points.join(' ') }));
  });
  svg.replaceChildren(...parts, upTo(millis(top)), ...cursor(axis, height));
}
