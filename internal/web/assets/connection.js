// One connection: its lanes over time, throughput and round-trip times below, all on
// one axis with one cursor. Keys, with a plot in focus: + and - zoom, arrows move the
// cursor, shift and arrows the window, Escape goes back to live.
import { get, Refusal } from './api.js';
import { command, inside } from './copy.js';
import { Stream } from './stream.js';
import { Axis } from './axis.js';
import { bytes, clock, h, hash, labelled, millis, rate, s, setText } from './dom.js';
import { words } from './events.js';
import { continued, lanes, stateAt } from './lanes.js';
import { color, drawLanes, drawRTT, drawThroughput } from './plots.js';
import { finding, ranked, report } from './verdict.js';
import { joined, rates, seen } from './samples.js';

const COLUMNS = ['', 'State', 'Local', 'Remote', 'Ids', 'Device', 'RTT', 'Sent', 'Received', 'Share'];
const HINT =
  'Live. Point at a plot, or press the arrow keys in one, to read values. Drag to move, + and - to zoom.';

// whole returns the lanes of an answer with what earlier runs of the server told. No event
// tells when a subflow began that is older than the server: then it is at least as old as its
// first sample.
function whole(details) {
  const model = continued(details.told, lanes(details.story));
  for (const lane of model.lanes) {
    const [first] = lane.segments;
    if (first) first.from = Math.min(first.from, seen(details.samples, lane.name));
  }
  return model;
}

// merge adds an answer to what earlier ones said: samples come in parts, and a server
// that was started again knows nothing of what the one before it saw.
function merge(before, answer) {
  if (!before || before.instance !== answer.instance) return answer;
  const samples = joined(before.samples, answer.samples);
  if (before.epoch === answer.epoch) return { ...answer, samples, past: before.past, told: before.told };
  const past = [...(before.past || []), ...before.history].slice(-500);
  return { ...answer, samples, past, told: { ...whole(before), until: Date.parse(before.time) } };
}

// summary says in one line what a connection is and has carried.
function summary(details) {
  const c = details.connection;
  const end = details.ended ? `, ${details.ended.how} at ${clock(details.ended.time)}` : '';
  const cause = c.fallback_cause ? ` (${c.fallback_cause})` : '';
  const parts = [`${details.ended ? 'ended' : c.state}${end}`, c.side, `${c.local} → ${c.remote}`];
  if (c.fallback) parts.push('fell back to TCP' + cause);
  parts.push(`${bytes(c.bytes_sent)} sent`, `${bytes(c.bytes_received)} received`);
  const { subflows, subflows_max: most } = c.limits || {};
  if (most) parts.push(`${subflows} of ${most} additional subflows`);
  if (c.processes?.length) parts.push(c.processes.map((p) => `${p.name} ${p.pid}`).join(', '));
  return parts.join(', ');
}

// row is a subflow's row in the table.
function row(model, f, state) {
  const mono = (text) => h('td', { class: 'mono' }, text);
  const num = (text) => h('td', { class: 'num' }, text);
  const cells = h(
    'tr',
    {},
    h('td', { class: `swatch p${color(model.lanes, f)}` }),
    h('td', {}, state),
    mono(f.local),
    mono(f.remote),
    h('td', {}, `${f.local_id}:${f.remote_id}`),
    h('td', {}, f.device),
    num(millis(f.rtt_us)),
    num(bytes(f.bytes_sent)),
    num(bytes(f.bytes_received)),
    num(Math.round(f.share * 100) + ' %'),
  );
  return labelled(cells, COLUMNS);
}

const stateOf = (f) => f.state + (f.backup_local || f.backup_remote ? ' (backup)' : '');

function rows(model, details) {
  const open = details.connection.subflows.map((f) => row(model, f, stateOf(f)));
  return [...open, ...details.closed_subflows.map((f) => row(model, f, 'closed'))];
}

// values says in words what each lane was at a time, with its throughput and round-trip time.
function values(model, samples, t, now) {
  const speed = rates(samples).find((p) => p.t >= t);
  const sample = samples.points.find((p) => p.t >= t);
  const parts = model.lanes.map((l) => {
    const [local] = l.name.split(' ');
    const state = stateAt(l, t, now);
    if (!state) return `${local} not there`;
    const n = samples.subflows.findIndex((f) => `${f.local} ${f.remote}` === l.name);
    const rtt = sample?.f.find((f) => f.s === n)?.rtt;
    const known = n >= 0 && speed && t <= now;
    return (
      `${local} ${state}` + (known ? ` ${rate(speed.values[n] || 0)}` : '') + (rtt ? ` ${millis(rtt)}` : '')
    );
  });
  return `${clock(t)}   ${parts.join('   ')}`;
}

// frame makes the elements of the view. actions has what its buttons and plots call.
function frame(main, token, actions) {
  const button = (id, text, onclick, label) =>
    h('button', { type: 'button', id, onclick, 'aria-label': label }, text);
  const plot = (id) => s('svg', { class: 'plot', id, tabindex: '0', role: 'img', ...actions.plot });
  const parts = {
    facts: h('p', { id: 'facts' }),
    readout: h('p', { class: 'readout mono', role: 'status', id: 'readout' }),
    findings: h('div', { class: 'findings about', hidden: true }),
    lanes: plot('timeline'),
    throughput: plot('throughput'),
    rtt: plot('rtt'),
    subflows: h('tbody', {}),
    log: h('tbody', {}),
  };
  const head = h(
    'tr',
    {},
    COLUMNS.map((n, i) => h('th', { scope: 'col', class: i > 5 && 'num' }, n)),
  );
  main.append(
    h(
      'div',
      { class: 'bar' },
      h('h1', {}, `Connection ${token}`),
      button('zoom-in', '+', () => actions.zoom(-1), 'Zoom in'),
      button('zoom-out', '−', () => actions.zoom(1), 'Zoom out'),
      button('live', 'Live', actions.live),
    ),
    ...[parts.facts, parts.findings, parts.lanes, parts.readout],
    ...[h('h2', {}, 'Throughput of each subflow, stacked'), parts.throughput],
    ...[h('h2', {}, 'Round-trip time'), parts.rtt],
    ...[
      h('h2', {}, 'Subflows'),
      actions.why,
      h('table', { class: 'stack' }, h('thead', {}, head), parts.subflows),
    ],
    ...[h('h2', {}, 'Events'), h('table', { class: 'log' }, parts.log)],
  );
  return parts;
}

class View {
  constructor(main, link) {
    [, this.netns, this.token] = link.parts;
    this.instance = link.query.get('instance') || '';
    this.details = null;
    this.model = null;
    this.timer = 0;
    this.axis = new Axis(link.query, () => this.now());
    const look = `connection show --look 3s token ${this.token}`;
    this.parts = frame(main, this.token, {
      why: h(
        'div',
        { class: 'bar' },
        'What limits each of them:',
        command(inside(this.netns === '-' ? '' : this.netns, look)),
      ),
      zoom: (step) => this.change(() => this.axis.zoom(step)),
      live: () => this.change(() => this.axis.live()),
      plot: {
        onkeydown: (e) => this.key(e),
        onwheel: (e) => this.wheel(e),
        onmousemove: (e) => this.point(e),
        onmousedown: (e) => {
          this.dragged = e.clientX;
        },
        onmouseleave: () => {
          this.dragged = null;
        },
        onmouseup: () => {
          this.dragged = null;
          this.keep();
        },
      },
    });
  }

  now() {
    if (this.details?.ended) return Date.parse(this.details.ended.time);
    return this.details?.replay ? Date.parse(this.details.time) : Date.now();
  }

  address(query) {
    return hash(`connection/${encodeURIComponent(this.netns)}/${this.token}`, query);
  }

  // began returns since when something is known of the connection.
  began() {
    const starts = this.model.lanes.flatMap((l) => l.segments.map((part) => part.from));
    return Math.min(this.now(), ...starts, ...this.details.samples.points.slice(0, 1).map((p) => p.t));
  }

  // judge shows what doctor finds about the connection.
  async judge(available) {
    if (!available) return;
    const { findings } = await report();
    const own = ranked(findings).filter((f) => f.subject?.token === this.token);
    const text = JSON.stringify(own);
    if (text === this.found || this.parts.findings.contains(document.activeElement)) return;
    this.found = text;
    this.parts.findings.hidden = own.length === 0;
    this.parts.findings.replaceChildren(...own.map((f) => finding(f, { folded: f.severity === 'info' })));
  }

  // keep puts what is shown into the page's address.
  keep() {
    history.replaceState(null, '', this.address(this.axis.query()));
    this.draw();
  }

  change(step) {
    step();
    this.keep();
  }

  cursor(t) {
    this.axis.at = t;
    this.draw();
  }

  key(e) {
    const { axis } = this;
    const step = axis.span / 50;
    const actions = {
      '+': () => this.change(() => axis.zoom(-1)),
      '=': () => this.change(() => axis.zoom(-1)),
      '-': () => this.change(() => axis.zoom(1)),
      ArrowLeft: () =>
        e.shiftKey
          ? this.change(() => axis.move(-axis.span / 4))
          : this.cursor((axis.at ?? axis.range()[1]) - step),
      ArrowRight: () =>
        e.shiftKey
          ? this.change(() => axis.move(axis.span / 4))
          : this.cursor((axis.at ?? axis.range()[0]) + step),
      Escape: () => this.change(() => axis.live()),
    };
    if (!actions[e.key]) return;
    e.preventDefault();
    actions[e.key]();
  }

  wheel(e) {
    if (!e.ctrlKey && !e.shiftKey) return; // the page scrolls
    e.preventDefault();
    const around = this.axis.timeOf(e);
    this.change(() => this.axis.zoom(Math.sign(e.deltaY || e.deltaX), around));
  }

  point(e) {
    if (e.buttons === 1 && typeof this.dragged === 'number' && Math.abs(e.clientX - this.dragged) > 3) {
      this.axis.move((this.dragged - e.clientX) * this.axis.perPixel());
      this.dragged = e.clientX;
      this.draw();
      return;
    }
    const t = this.axis.timeOf(e);
    if (t !== null) this.cursor(t);
  }

  // soon loads again a moment after an event, since several come together.
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load().catch(() => {}), 150);
  }

  async load() {
    clearTimeout(this.timer);
    const newest = this.details?.samples.points.at(-1)?.t;
    const query = new URLSearchParams({ instance: this.instance, samples_after: newest || '' });
    try {
      const answer = await get(`connections/${encodeURIComponent(this.netns)}/${this.token}?` + query);
      this.details = merge(this.details, answer);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 404) throw error;
      const gone = 'The connection has ended, and the server no longer keeps it.';
      setText(this.parts.facts, this.details ? gone : error.message);
      return;
    }
    this.model = whole(this.details);
    this.draw();
    this.describe();
  }

  // event is a row of the log. Its time is a link that shows the moment in the plots.
  event(e) {
    const at = Date.parse(e.time);
    const show = (click) => {
      click.preventDefault();
      this.change(() => this.axis.center(at));
    };
    const time = h('a', { href: this.address({ at }), onclick: show }, clock(e.time));
    const name = e.event + (e.derived ? ' *' : '');
    return h('tr', {}, h('td', { class: 'mono' }, time), h('td', {}, name), h('td', {}, words(e)));
  }

  describe() {
    const { details, parts } = this;
    setText(parts.facts, summary(details));
    parts.subflows.replaceChildren(...rows(this.model, details));
    const log = [...(details.past || []), ...details.history].reverse();
    parts.log.replaceChildren(...log.map((e) => this.event(e)));
  }

  draw() {
    if (!this.model) return;
    this.axis.fit(this.parts.lanes, this.began());
    const shown = { axis: this.axis, model: this.model, samples: this.details.samples };
    drawLanes(this.parts.lanes, shown);
    drawThroughput(this.parts.throughput, shown);
    drawRTT(this.parts.rtt, shown);
    this.read();
  }

  read() {
    const { axis, details, model, parts } = this;
    if (axis.at !== null) setText(parts.readout, values(model, details.samples, axis.at, this.now()));
    else if (axis.following) setText(parts.readout, HINT);
    else setText(parts.readout, axis.range().map(clock).join(' to '));
  }
}

export function connection(main, link) {
  const view = new View(main, link);
  const stream = new Stream(`token ${view.token}`, '', { event: () => view.soon() });
  const resized = () => view.draw();
  addEventListener('resize', resized);
  return {
    refresh: async (now) => {
      await view.load();
      await view.judge(now.doctor_available);
    },
    update() {
      // the view itself changes its link
    },
    close() {
      stream.close();
      window.removeEventListener('resize', resized);
      clearTimeout(view.timer);
    },
  };
}
