// What the devices carried in the last minutes: throughput, round-trip times, events and
// fallbacks on one time axis, with one cursor.
import { area, begin, cursorLine, line } from './chart.js';
import { clock, h, millis, rate, s, setText } from './dom.js';
import { deviceName } from './map.js';

const KEPT = 450;
const SHORT = 20000; // the least that is shown, so that a young server does not draw one line
const GAP = 30000;

const sum = (list) => list.reduce((a, b) => a + b, 0);
const loadOf = (p, d) => p.devices.find((l) => l.d === d);

export class Trend {
  constructor() {
    this.devices = [];
    this.points = [];
    this.at = null;
    const plot = (id) =>
      s('svg', {
        class: 'plot',
        id,
        role: 'img',
        tabindex: '0',
        onmousemove: (e) => this.point(e),
        onmouseleave: () => this.cursor(null),
        onkeydown: (e) => this.key(e),
      });
    this.throughput = plot('device-throughput');
    this.rtt = plot('device-rtt');
    this.events = plot('device-events');
    this.legend = h('p', { class: 'legend', id: 'trend-legend', role: 'status' });
    const part = (name, svg) => h('div', {}, h('h2', {}, name), svg);
    this.element = h(
      'section',
      { 'aria-label': 'The last minutes' },
      h(
        'div',
        { class: 'plots' },
        part('Throughput by device, stacked', this.throughput),
        part('Round trip: median; dotted: 9 of 10 are below', this.rtt),
        part('Events a second, and ◆ fallbacks', this.events),
      ),
      this.legend,
    );
  }

  // newest returns the time of the last point, 0 where there is none.
  newest() {
    return this.points.at(-1)?.t || 0;
  }

  add(series) {
    const last = this.newest();
    this.devices = series.devices;
    this.points = [...this.points, ...series.points.filter((p) => p.t > last)].slice(-KEPT);
    this.draw();
  }

  range() {
    const to = this.newest() || Date.now();
    return [Math.min(this.points[0]?.t ?? to, to - SHORT), to];
  }

  point(e) {
    const t = this.scale?.timeOf(e);
    if (t !== undefined) this.cursor(t);
  }

  cursor(t) {
    this.at = t;
    this.draw();
  }

  key(e) {
    const i = this.points.findIndex((p) => p.t >= (this.at ?? this.newest()));
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: this.points.length - 1 }[e.key];
    if (e.key === 'Escape') this.cursor(null);
    if (to === undefined || !this.points[to]) return;
    e.preventDefault();
    this.cursor(this.points[to].t);
  }

  draw() {
    if (!this.throughput.isConnected) return;
    const range = this.range();
    this.drawThroughput(range);
    this.drawRTT(range);
    this.drawEvents(range);
    this.describe();
  }

  drawThroughput(range) {
    const total = (p) => sum(p.devices.map((l) => l.tx + l.rx));
    const { sc, parts } = begin(this.throughput, {
      ...{ height: 170, range, format: rate, label: 'Throughput of each device, stacked' },
      ...{ top: Math.max(0, ...this.points.map(total)), least: 1000 },
    });
    this.scale = sc;
    let lower = this.points.map(() => 0);
    this.devices.forEach((_, d) => {
      const upper = this.points.map((p, i) => lower[i] + (loadOf(p, d)?.tx || 0) + (loadOf(p, d)?.rx || 0));
      parts.push(area(sc, this.points, lower, upper, { class: `area p${d % 8}` }));
      lower = upper;
    });
    this.throughput.replaceChildren(...parts.filter(Boolean), ...cursorLine(sc, this.at));
  }

  drawRTT(range) {
    const { sc, parts } = begin(this.rtt, {
      ...{ height: 170, range, format: millis0, label: 'Round-trip times of each device' },
      ...{ top: Math.max(0, ...this.points.flatMap((p) => p.devices.map((l) => l.rtt90))), least: 100 },
    });
    this.devices.forEach((_, d) => {
      const of = (key) => this.points.map((p) => [p.t, loadOf(p, d)?.[key] || 0]).filter(([, v]) => v > 0);
      parts.push(...line(sc, of('rtt'), { class: `curve p${d % 8}` }, GAP));
      parts.push(...line(sc, of('rtt90'), { class: `curve dotted p${d % 8}` }, GAP));
    });
    this.rtt.replaceChildren(...parts, ...cursorLine(sc, this.at));
  }

  drawEvents(range) {
    const perSecond = this.points.slice(1).map((p, i) => {
      const seconds = (p.t - this.points[i].t) / 1000;
      return { ...p, from: this.points[i].t, rate: p.events / Math.max(0.5, seconds) };
    });
    const { sc, parts } = begin(this.events, {
      ...{ height: 170, range, format: (v) => String(Number(v.toFixed(1))), label: 'Events a second' },
      ...{ top: Math.max(0, ...perSecond.map((p) => p.rate)), least: 4 },
    });
    for (const p of perSecond) {
      const place = { x: sc.x(p.from), y: sc.y(p.rate), width: Math.max(1, sc.x(p.t) - sc.x(p.from) - 0.5) };
      parts.push(s('rect', { class: 'area p7', ...place, height: sc.y(0) - sc.y(p.rate) }));
      if (!p.fallbacks) continue;
      const title = s('title', {}, `${clock(p.t)} ${p.fallbacks} fell back to TCP`);
      parts.push(s('path', { class: 'mark fallback', d: `M${sc.x(p.t)} 10l5 6l-5 6l-5-6z` }, title));
    }
    this.events.replaceChildren(...parts, ...cursorLine(sc, this.at));
  }

  // describe says what the devices carried at the cursor, or carry now.
  describe() {
    const p = this.at === null ? this.points.at(-1) : this.points.find((q) => q.t >= this.at);
    if (!p) {
      setText(this.legend, 'Nothing was measured yet.');
      return;
    }
    this.legend.replaceChildren(
      h('span', { class: 'faint' }, this.at === null ? 'now' : clock(p.t).slice(0, 8)),
      ...p.devices.map((l) =>
        h(
          'span',
          {},
          h('span', { class: `swatch p${l.d % 8}` }),
          `${deviceName(this.devices[l.d])}  ↑ ${rate(l.tx)}  ↓ ${rate(l.rx)}  ${millis(l.rtt)}`,
        ),
      ),
    );
  }
}

const millis0 = (us) => (us ? Number((us / 1000).toPrecision(3)) + ' ms' : '0');
