// All at one look: is it well, what do the paths carry, who talks to whom, what broke.
import { get } from './api.js';
import { h, hash, s, setText } from './dom.js';
import { draw, legend, rows } from './map.js';
import { Trend } from './trend.js';
import { ranked, report, short, WORDS } from './verdict.js';

const SWITCH = { address: 'addresses', prefix: 'networks', process: 'processes' };
const HINT = 'Point at a ribbon to read its figures; click for the connections behind it.';

const figure = (name, href) => {
  const value = h('b', {}, '–');
  const label = h('span', {}, name);
  return { value, element: h('div', { class: 'figure' }, value, href ? h('a', { href }, name) : label) };
};

class Overview {
  constructor(main, link) {
    this.by = SWITCH[link.query.get('by')] ? link.query.get('by') : 'address';
    this.judged = 0;
    this.mapped = 0;
    this.figures = {
      connections: figure('connections', '#/connections'),
      subflows: figure('subflows'),
      fallbacks: figure('fell back to TCP', hash('connections', { filter: 'fallback' })),
      rate: figure('events a second', '#/events'),
      events: figure('events so far'),
      lost: figure('events lost'),
      resyncs: figure('resynchronised'),
    };
    this.verdict = h('a', { class: 'verdict', href: '#/findings' }, 'Verdict: –');
    this.findings = h('div', { class: 'findings' });
    this.states = h('p', { class: 'faint' });
    this.limits = h('div', { class: 'gauges' });
    this.map = s('svg', {
      ...{ class: 'map', id: 'map', role: 'group', 'aria-label': 'Devices of this host and their peers' },
      onmousemove: (e) => this.point(e),
      onfocusin: (e) => this.point(e),
      onmouseleave: () => setText(this.words, HINT),
      onclick: (e) => this.follow(e),
    });
    this.words = h('p', { class: 'readout', id: 'map-words' }, HINT);
    this.legend = h('p', { class: 'legend' });
    this.rows = h('tbody', {});
    this.trend = new Trend();
    main.append(this.top(), this.middle(), this.trend.element, this.twin(), this.states);
    this.resized = () => {
      this.drawMap();
      this.trend.draw();
    };
    addEventListener('resize', this.resized);
  }

  top() {
    const figures = Object.values(this.figures).map((f) => f.element);
    return h(
      'section',
      { class: 'glance', 'aria-label': 'At a glance' },
      h(
        'div',
        {},
        h('h1', { class: 'hidden' }, 'Overview'),
        this.verdict,
        h('div', { class: 'figures' }, figures),
      ),
      this.findings,
    );
  }

  middle() {
    const change = (e) => {
      location.hash = hash('', { by: e.target.value === 'address' ? '' : e.target.value });
    };
    this.choice = h(
      'select',
      { id: 'by', onchange: change },
      Object.entries(SWITCH).map(([value, name]) =>
        h('option', { value, selected: value === this.by }, name),
      ),
    );
    return h(
      'section',
      { 'aria-label': 'Map' },
      h(
        'div',
        { class: 'bar' },
        h('h2', {}, 'Who talks to whom, over which device'),
        h('label', {}, 'peers by ', this.choice),
      ),
      this.map,
      this.words,
      h('div', { class: 'bar' }, this.legend, this.limits),
    );
  }

  twin() {
    const names = ['Device', 'Peer', 'State', 'Subflows', 'Out', 'In', 'Round trip'];
    const head = names.map((n, i) => h('th', { scope: 'col', class: i > 2 && 'num' }, n));
    return h(
      'details',
      {},
      h('summary', {}, 'The map as a table'),
      h('table', { class: 'fit' }, h('thead', {}, h('tr', {}, head)), this.rows),
    );
  }

  // point says what is under the pointer, or in focus.
  point(e) {
    const words = e.target.closest?.('[data-words]')?.getAttribute('data-words');
    setText(this.words, words || HINT);
  }

  // follow goes to the connections behind a ribbon; devices and peers are links.
  follow(e) {
    const filter = e.target.getAttribute?.('data-filter');
    if (filter) location.hash = hash('connections', { filter, sort: '-bytes' });
  }

  update(query) {
    const by = query.get('by');
    this.by = SWITCH[by] ? by : 'address';
    this.choice.value = this.by;
    this.mapped = 0;
    this.loadMap().catch(() => {});
  }

  async refresh(summary) {
    this.count(summary);
    await Promise.all([this.loadMap(), this.loadTrend(), this.judge(summary)]);
  }

  count(summary) {
    const f = this.figures;
    const put = (name, value, cls) => {
      setText(f[name].value, value);
      f[name].value.className = cls || '';
    };
    put('connections', summary.connections);
    put('subflows', summary.subflows);
    put('fallbacks', summary.fallbacks, summary.fallbacks && 'warn');
    put('rate', summary.events_per_second.at(-1));
    put('events', summary.events);
    put('lost', summary.events_lost, summary.events_lost && 'bad');
    put('resyncs', summary.generation);
    const counts = (of) =>
      Object.entries(of)
        .map(([name, n]) => `${n} ${name}`)
        .join(', ') || 'none';
    const { by_state, by_side, subflows_by_state } = summary;
    setText(
      this.states,
      `Connections: ${counts(by_state)}. Sides: ${counts(by_side)}. Subflows: ${counts(subflows_by_state)}.`,
    );
  }

  async loadMap() {
    if (Date.now() - this.mapped < 1900) return;
    this.mapped = Date.now();
    const { by } = this;
    const answer = await get('map?by=' + by);
    if (by !== this.by) return;
    this.shown = answer;
    this.drawMap();
  }

  drawMap() {
    if (!this.shown || !this.map.isConnected) return;
    draw(this.map, this.shown);
    this.legend.replaceChildren(...legend(this.shown));
    this.rows.replaceChildren(...rows(this.shown));
    this.limits.replaceChildren(...this.shown.limits.map(gauge));
  }

  async loadTrend() {
    if (Date.now() - this.trend.newest() < 1900) return;
    this.trend.add(await get('traffic?after=' + this.trend.newest()));
  }

  async judge(summary) {
    if (!summary.doctor_available) {
      setText(this.verdict, 'This server runs without doctor');
      return;
    }
    if (Date.now() - this.judged < 5000) return;
    this.judged = Date.now();
    const found = await report();
    const [word, cls, sign] = WORDS[found.verdict] || [found.verdict, '', ''];
    setText(this.verdict, `${sign} ${word}`);
    this.verdict.className = 'verdict ' + cls;
    this.tell(ranked(found.findings));
  }

  // tell shows the first findings. While somebody is in them, they stay as they are.
  tell(findings) {
    const text = JSON.stringify(findings.slice(0, 3));
    if (this.told === text || this.findings.contains(document.activeElement)) return;
    this.told = text;
    const urgent = findings.filter((f) => f.severity !== 'info').slice(0, 3);
    const rest = findings.length - urgent.length;
    this.findings.replaceChildren(
      ...urgent.map(short),
      findings.length === 0 ? h('p', { class: 'faint' }, 'Doctor finds nothing to mend.') : '',
      rest > 0
        ? h('p', {}, h('a', { href: '#/findings' }, `${rest} ${urgent.length ? 'more' : 'to know'}`))
        : '',
    );
  }
}

// gauge shows how far a limit is used.
export function gauge(l) {
  const text = `${l.most} of ${l.subflows} additional subflows`;
  const reached = l.reached ? `, ${l.reached} of ${l.connections} connections have all` : '';
  const value = Math.min(1, l.subflows ? l.most / l.subflows : 0);
  return h(
    'span',
    { class: 'gauge' },
    h('meter', { min: 0, max: 1, value, 'aria-label': text }),
    `${l.netns ? l.netns + ': ' : ''}${text}${reached}`,
  );
}

export function overview(main, link) {
  const view = new Overview(main, link);
  return {
    refresh: (summary) => view.refresh(summary),
    update: (query) => view.update(query),
    close: () => window.removeEventListener('resize', view.resized),
  };
}
