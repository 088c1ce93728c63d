// Plots over time that are drawn for the width they have: an axis with units at the left,
// times below, and a cursor that all plots of a view share.
import { clock, s } from './dom.js';

export const EDGE = { left: 74, right: 12, top: 10, bottom: 22 };

// widthOf returns how many pixels wide a plot is drawn.
export const widthOf = (svg) => Math.max(240, Math.round(svg.clientWidth || 600));

// nice returns the next round number: 1, 2 or 5 and zeros.
export function nice(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((f) => f * power).find((v) => v >= n * 0.999);
}

// ticks returns round values from 0 to at least the top, four of them at most.
export function ticks(top, least) {
  const step = nice(Math.max(top, least) / 4);
  const count = Math.max(1, Math.ceil(Math.max(top, least) / step - 1e-9));
  return Array.from({ length: count + 1 }, (_, i) => i * step);
}

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400];

// times returns round times between two, as many as there is room for.
export function times(from, to, room) {
  const step = 1000 * (SECONDS.find((n) => ((to - from) / 1000 / n) * 90 <= room) || 86400);
  const zone = new Date(from).getTimezoneOffset() * 60000;
  const list = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) list.push(t);
  return list;
}

// scale returns the places of times and values in a plot.
export function scale(svg, height, [from, to], steps) {
  const width = widthOf(svg);
  const top = steps.at(-1) || 1;
  const inner = width - EDGE.left - EDGE.right;
  return {
    width,
    height,
    x: (t) => EDGE.left + ((t - from) / Math.max(1, to - from)) * inner,
    y: (v) => height - EDGE.bottom - (v / top) * (height - EDGE.top - EDGE.bottom),
    timeOf(event) {
      const box = event.currentTarget.getBoundingClientRect();
      const at = ((event.clientX - box.left) / box.width) * width;
      return at < EDGE.left ? null : from + ((at - EDGE.left) / inner) * (to - from);
    },
  };
}

// axes returns the lines and words around a plot.
export function axes(sc, [from, to], steps, format) {
  const parts = steps.flatMap((v) => [
    s('line', { class: 'axis', x1: EDGE.left, x2: sc.width - EDGE.right, y1: sc.y(v), y2: sc.y(v) }),
    s('text', { class: 'faint', x: EDGE.left - 6, y: sc.y(v) + 4, 'text-anchor': 'end' }, format(v)),
  ]);
  for (const t of times(from, to, sc.width - EDGE.left - EDGE.right)) {
    const x = sc.x(t);
    const anchor = x > sc.width - 40 ? 'end' : 'middle';
    parts.push(
      s('line', { class: 'axis', x1: x, x2: x, y1: EDGE.top, y2: sc.height - EDGE.bottom + 4 }),
      s('text', { class: 'faint', x, y: sc.height - 5, 'text-anchor': anchor }, clock(t).slice(0, 8)),
    );
  }
  return parts;
}

export function cursorLine(sc, at) {
  if (at === null || at === undefined) return [];
  const x = sc.x(at);
  if (x < EDGE.left || x > sc.width - EDGE.right) return [];
  return [s('line', { class: 'cursor', x1: x, x2: x, y1: EDGE.top, y2: sc.height - EDGE.bottom })];
}

// begin sets the plot up, and returns its scale with the parts that it begins with.
export function begin(svg, { height, range, top, least, format, label }) {
  const steps = ticks(top, least);
  const sc = scale(svg, height, range, steps);
  svg.setAttribute('viewBox', `0 0 ${sc.width} ${height}`);
  svg.setAttribute('aria-label', label);
  return { sc, parts: axes(sc, range, steps, format) };
}

// area returns a band between two lines of a stacked plot.
export function area(sc, points, lower, upper, attributes) {
  if (points.length < 2) return null;
  const at = (v, i) => `${sc.x(points[i].t).toFixed(1)},${sc.y(v).toFixed(1)}`;
  const shape = [...upper.map(at), ...lower.map(at).reverse()].join(' ');
  return s('polygon', { ...attributes, points: shape });
}

// line returns the lines through points [t, v]; a gap longer than gap milliseconds stays one.
export function line(sc, points, attributes, gap = Infinity) {
  const runs = [];
  points.forEach((p, i) => {
    if (i === 0 || p[0] - points[i - 1][0] > gap) runs.push([]);
    runs.at(-1).push(`${sc.x(p[0]).toFixed(1)},${sc.y(p[1]).toFixed(1)}`);
  });
  return runs.filter((r) => r.length > 1).map((r) => s('polyline', { ...attributes, points: r.join(' ') }));
}
