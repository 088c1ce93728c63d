// One connection: its lanes over time, throughput and round-trip times below, all on
// one axis with one cursor. Keys, with a plot in focus: + and - zoom, arrows move the
// cursor, shift and arrows the window, Escape goes back to live.
import { get, Refusal, Stream } from './api.js';
import { bytes, clock, h, hash, millis, rate, s, setText } from './dom.js';
import { words } from './events.js';
import { continued, lanes, rates, stateAt } from './lanes.js';

const WIDTH = 1000;
const LEFT = 250;
const LANE = 30;
const SPANS = [2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 9e5, 36e5, 144e5, 864e5];

// merge adds an answer to what earlier ones said: samples come in parts, and a server
// that was started again knows nothing of what the one before it saw.
function merge(before, answer) {
  if (!before || before.instance !== answer.instance) return answer;
  const subflows = before.samples.subflows;
  const place = answer.samples.subflows.map((f) => {
    const i = subflows.findIndex((g) => g.local === f.local && g.remote === f.remote);
    return i < 0 ? subflows.push(f) - 1 : i;
  });
  const points = answer.samples.points.map((p) => ({ t: p.t, f: p.f.map((f) => ({ ...f, s: place[f.s] })) }));
  const samples = { subflows, points: [...before.samples.points.slice(-900), ...points] };
  const past = before.epoch === answer.epoch ? before.past : [...(before.past || []), ...before.history].slice(-500);
  const told = before.epoch === answer.epoch ? before.told : { ...whole(before), until: Date.parse(before.time) };
  return { ...answer, samples, past, told };
}

// whole returns the lanes of an answer with what earlier runs of the server told.
const whole = (details) => continued(details.told, lanes(details.story));

export function connection(main, link) {
  const [, netns, token] = link.parts;
  const number = (name) => Number(link.query.get(name)) || null;
  const window = { span: number('span') || 30000, end: number('end'), at: number('at') };
  if (window.at && !window.end) window.end = window.at + window.span / 2;
  let details = null;
  let model = null;
  let following = !window.end;
  let timer = 0;

  const title = h('h1', {}, `Connection ${token}`);
  const facts = h('p', { id: 'facts' });
  const readout = h('p', { class: 'readout mono', role: 'status', id: 'readout' });
  const liveButton = h('button', { type: 'button', id: 'live', onclick: () => { following = true; window.end = null; window.at = null; keep(); } }, 'Live');
  const plots = ['timeline', 'throughput', 'rtt'].map((id) => s('svg', { class: 'plot', id, tabindex: '0', role: 'img', onkeydown: keys, onwheel: wheel, onmousemove: point, onclick: () => keep(), onmouseleave: () => {} }));
  const table = h('tbody', {});
  const log = h('tbody', {});
  main.append(h('div', { class: 'bar' }, title,
    h('button', { type: 'button', id: 'zoom-in', 'aria-label': 'Zoom in', onclick: () => zoom(-1) }, '+'), h('button', { type: 'button', id: 'zoom-out', 'aria-label': 'Zoom out', onclick: () => zoom(1) }, '−'), liveButton),
  facts, plots[0], readout, h('h2', {}, 'Throughput of each subflow, stacked'), plots[1], h('h2', {}, 'Round-trip time'), plots[2],
  h('h2', {}, 'Subflows'), h('table', {}, h('thead', {}, h('tr', {}, ['', 'State', 'Local', 'Remote', 'Ids', 'Device', 'RTT', 'Sent', 'Received', 'Share'].map((n) => h('th', { scope: 'col' }, n)))), table),
  h('h2', {}, 'Events'), h('table', { class: 'log' }, log));

  const now = () => (details?.ended ? Date.parse(details.ended.time) : details?.replay ? Date.parse(details.time) : Date.now());
  const range = () => { const end = window.end ?? now(); return [end - window.span, end]; };
  const x = (t) => { const [from, to] = range(); return LEFT + ((t - from) / (to - from)) * (WIDTH - LEFT); };
  const clip = (t) => Math.min(WIDTH, Math.max(LEFT, x(t)));

  function keep() {
    history.replaceState(null, '', hash(`connection/${encodeURIComponent(netns)}/${token}`, {
      span: window.span === 30000 ? null : window.span, end: following ? null : Math.round(window.end), at: window.at && Math.round(window.at) }));
    draw();
  }

  function zoom(step, around) {
    const i = Math.max(0, SPANS.findIndex((n) => n >= window.span));
    const span = SPANS[Math.min(SPANS.length - 1, Math.max(0, i + step))];
    if (around && !following) { const [from] = range(); window.end = around + span * (1 - (around - from) / window.span); }
    window.span = span;
    keep();
  }

  function move(ms) {
    window.end = (window.end ?? now()) + ms;
    following = false;
    keep();
  }

  function keys(e) {
    const step = window.span / 50;
    const actions = {
      '+': () => zoom(-1), '=': () => zoom(-1), '-': () => zoom(1),
      ArrowLeft: () => (e.shiftKey ? move(-window.span / 4) : cursor((window.at ?? range()[1]) - step)),
      ArrowRight: () => (e.shiftKey ? move(window.span / 4) : cursor((window.at ?? range()[0]) + step)),
      Escape: () => { following = true; window.end = null; window.at = null; keep(); },
    };
    if (!actions[e.key]) return;
    e.preventDefault();
    actions[e.key]();
  }

  function wheel(e) {
    if (!e.ctrlKey && !e.shiftKey) return; // the page scrolls
    e.preventDefault();
    zoom(Math.sign(e.deltaY || e.deltaX), time(e));
  }

  function time(e) {
    const box = e.currentTarget.getBoundingClientRect();
    const [from, to] = range();
    const at = ((e.clientX - box.left) / box.width) * WIDTH;
    return at < LEFT ? null : from + ((at - LEFT) / (WIDTH - LEFT)) * (to - from);
  }

  function point(e) { const t = time(e); if (t !== null) cursor(t); }

  function cursor(t) { window.at = t; draw(); }

  async function load() {
    clearTimeout(timer);
    const newest = details?.samples.points.at(-1)?.t;
    try {
      const query = new URLSearchParams({ instance: link.query.get('instance') || '', samples_after: newest || '' });
      const answer = await get(`connections/${encodeURIComponent(netns)}/${token}?` + query);
      details = merge(details, answer);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 404) throw error;
      setText(facts, details ? 'The connection has ended, and the server keeps it no more.' : error.message);
      return;
    }
    model = whole(details);
    draw();
    describe();
  }

  function describe() {
    const c = details.connection;
    const end = details.ended ? `, ${details.ended.how} at ${clock(details.ended.time)}` : '';
    setText(facts, `${details.ended ? 'ended' : c.state}${end}, ${c.side}, ${c.local} → ${c.remote}, ${c.fallback ? 'fell back to TCP' + (c.fallback_cause ? ` (${c.fallback_cause})` : '') + ', ' : ''}` +
      `${bytes(c.bytes_sent)} sent, ${bytes(c.bytes_received)} received` + (c.processes?.length ? `, ${c.processes.map((p) => `${p.name} ${p.pid}`).join(', ')}` : ''));
    const color = (f) => Math.max(0, model.lanes.findIndex((l) => l.name === `${f.local} ${f.remote}`)) % 8;
    const line = (f, state) => h('tr', {}, h('td', { class: `swatch p${color(f)}` }), h('td', {}, state), h('td', { class: 'mono' }, f.local), h('td', { class: 'mono' }, f.remote), h('td', {}, `${f.local_id}:${f.remote_id}`), h('td', {}, f.device),
      h('td', { class: 'num' }, millis(f.rtt_us)), h('td', { class: 'num' }, bytes(f.bytes_sent)), h('td', { class: 'num' }, bytes(f.bytes_received)), h('td', { class: 'num' }, Math.round(f.share * 100) + ' %'));
    table.replaceChildren(...c.subflows.map((f) => line(f, f.state + (f.backup_local || f.backup_remote ? ' (backup)' : ''))), ...details.closed_subflows.map((f) => line(f, 'closed')));
    log.replaceChildren(...[...(details.past || []), ...details.history].reverse().map((e) => h('tr', {}, h('td', { class: 'mono' }, h('a', { href: hash(`connection/${encodeURIComponent(netns)}/${token}`, { at: Date.parse(e.time) }), onclick: (ev) => { ev.preventDefault(); window.at = Date.parse(e.time); window.end = window.at + window.span / 2; following = false; keep(); } }, clock(e.time))),
      h('td', {}, e.event + (e.derived ? ' *' : '')), h('td', {}, words(e)))));
  }

  function draw() {
    if (!model) return;
    if (following) window.end = null;
    drawLanes(plots[0]);
    drawThroughput(plots[1]);
    drawRTT(plots[2]);
    read();
  }

  // frame draws what all plots have: the grid of times and the cursor.
  function frame(svg, height, name) {
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${height}`);
    svg.setAttribute('aria-label', name);
    const [from, to] = range();
    const parts = [];
    for (let i = 0; i <= 5; i++) {
      const t = from + ((to - from) * i) / 5;
      parts.push(s('line', { class: 'axis', x1: x(t), x2: x(t), y1: 0, y2: height - 18 }), s('text', { class: 'faint', x: x(t), y: height - 5, 'text-anchor': i === 5 ? 'end' : i ? 'middle' : 'start' }, clock(t).slice(0, window.span < 20000 ? 12 : 8)));
    }
    return parts;
  }

  const cursorLine = (height) => (window.at === null ? [] : [s('line', { class: 'cursor', x1: clip(window.at), x2: clip(window.at), y1: 0, y2: height - 18 })]);

  function drawLanes(svg) {
    const height = (model.lanes.length + 1) * LANE + 26;
    const parts = frame(svg, height, `Timeline of ${model.lanes.length} subflows: ` + model.lanes.map((l) => `${l.name} ${l.reason || l.segments.at(-1)?.state || ''}`).join('; '));
    const mark = (m, y) => {
      if (m.at < range()[0] || m.at > range()[1]) return null;
      return s('path', { class: `mark ${m.kind}`, d: `M${x(m.at)} ${y - 6}l5 6l-5 6l-5-6z`, 'data-event': m.event }, s('title', {}, `${clock(m.at)} ${m.event} ${m.text || ''}`));
    };
    parts.push(s('text', { x: 6, y: 20 }, 'connection'), ...model.marks.map((m) => mark(m, 15)).filter(Boolean));
    model.lanes.forEach((l, i) => {
      const y = (i + 1) * LANE;
      const [local] = l.name.split(' ');
      const g = s('g', { class: 'lane', 'data-lane': l.name, 'data-state': l.end === undefined ? l.segments.at(-1)?.state : 'closed' },
        s('text', { x: 6, y: y + 19 }, s('tspan', { class: `p${i % 8}` }, '■ '), local.slice(0, 24), s('title', {}, l.name)), s('text', { x: LEFT - 6, y: y + 19, 'text-anchor': 'end', class: 'faint' }, (l.device || '').slice(0, 8)));
      for (const part of l.segments) {
        const [a, b] = [clip(part.from), clip(part.to ?? now())];
        if (b <= a) continue;
        const state = part.state === 'established' && l.backup ? 'backup' : part.state;
        g.append(s('rect', { class: `seg ${state}`, x: a, width: Math.max(1.5, b - a), y: y + 7, height: LANE - 14, rx: 3, 'data-state': state }, s('title', {}, `${l.name}: ${state}`)));
      }
      if (l.end !== undefined && l.end >= range()[0] && l.end <= range()[1]) {
        const text = l.reason || 'closed';
        const inside = clip(l.end) + 12 + text.length * 8 > WIDTH; // no room behind the end
        g.append(s('text', { class: inside ? 'inside' : 'faint', x: clip(l.end) + (inside ? -10 : 10), 'text-anchor': inside ? 'end' : 'start', y: y + 19 }, text));
      }
      g.append(...l.marks.map((m) => mark(m, y + LANE / 2)).filter(Boolean));
      parts.push(g);
    });
    svg.replaceChildren(...parts, ...cursorLine(height));
  }

  const colorOf = (f) => { const i = model.lanes.findIndex((l) => l.name === `${f.local} ${f.remote}`); return (i < 0 ? 7 : i) % 8; };

  function drawThroughput(svg) {
    const height = 150;
    const parts = frame(svg, height, 'Throughput of each subflow, stacked');
    const seen = rates(details.samples).filter((p) => p.t >= range()[0] && p.t <= range()[1]);
    const top = Math.max(1000, ...seen.map((p) => p.values.reduce((a, b) => a + b, 0)));
    const y = (v) => height - 22 - (v / top) * (height - 40);
    const floor = seen.map(() => 0);
    details.samples.subflows.forEach((f, n) => {
      if (seen.length < 2) return;
      const lower = seen.map((p, i) => `${x(p.t)},${y(floor[i])}`);
      const upper = seen.map((p, i) => `${x(p.t)},${y(floor[i] += p.values[n] || 0)}`);
      parts.push(s('polygon', { class: `area p${colorOf(f)}`, points: [...upper, ...lower.reverse()].join(' '), 'data-subflow': f.local }));
    });
    svg.replaceChildren(...parts, s('text', { class: 'faint', x: 6, y: 16 }, 'up to ' + rate(top)), ...cursorLine(height));
  }

  function drawRTT(svg) {
    const height = 130;
    const parts = frame(svg, height, 'Round-trip time of each subflow');
    const seen = details.samples.points.filter((p) => p.t >= range()[0] && p.t <= range()[1]);
    const top = Math.max(100, ...seen.flatMap((p) => p.f.map((f) => f.rtt)));
    const y = (v) => height - 22 - (v / top) * (height - 40);
    details.samples.subflows.forEach((f, n) => {
      const points = seen.flatMap((p) => p.f.filter((v) => v.s === n && v.rtt).map((v) => `${x(p.t)},${y(v.rtt)}`));
      if (points.length > 1) parts.push(s('polyline', { class: `curve p${colorOf(f)}`, points: points.join(' ') }));
    });
    svg.replaceChildren(...parts, s('text', { class: 'faint', x: 6, y: 16 }, 'up to ' + millis(top)), ...cursorLine(height));
  }

  // read says in words what is under the cursor.
  function read() {
    if (window.at === null) { setText(readout, following ? 'Live. Move over a plot, or press the arrow keys in one, to read values.' : `${clock(range()[0])} to ${clock(range()[1])}`); return; }
    const t = window.at;
    const speed = rates(details.samples).find((p) => p.t >= t);
    const sample = details.samples.points.find((p) => p.t >= t);
    const parts = model.lanes.map((l) => {
      const n = details.samples.subflows.findIndex((f) => `${f.local} ${f.remote}` === l.name);
      const rtt = sample?.f.find((f) => f.s === n)?.rtt;
      const state = stateAt(l, t, now());
      if (!state) return `${l.name.split(' ')[0]} not there`;
      return `${l.name.split(' ')[0]} ${state}` + (n >= 0 && speed && t <= now() ? ` ${rate(speed.values[n] || 0)}` : '') + (rtt ? ` ${millis(rtt)}` : '');
    });
    setText(readout, `${clock(t)}   ${parts.join('   ')}`);
  }

  const stream = new Stream(`token ${token}`, '', { event: () => { clearTimeout(timer); timer = setTimeout(() => load().catch(() => {}), 150); } });
  return { refresh: load, update() { /* the link is our own doing */ }, close() { stream.close(); clearTimeout(timer); } };
}
