// The log of events, newest first.
import { get } from './api.js';
import { Stream } from './stream.js';
import { clock, connectionLink, h, hash, setText } from './dom.js';

const KEPT = 2000;
const SHOWN = 300;
const MOST = 40; // a second: more than anybody reads

// words says in short what an event carries besides its name and token.
export function words(e) {
  const from = e.saddr4 || e.saddr6;
  const to = e.daddr4 || e.daddr6;
  const parts = [];
  if (from || to)
    parts.push(`${from || ''}${e.sport ? ':' + e.sport : ''} → ${to || ''}${e.dport ? ':' + e.dport : ''}`);
  if (e.dev) parts.push(`dev ${e.dev}`);
  if (e.locid !== undefined) parts.push(`local id ${e.locid}`);
  if (e.remid !== undefined) parts.push(`remote id ${e.remid}`);
  if (e.backup) parts.push('backup');
  if (e.error) parts.push(e.error_name || `error ${e.error}`);
  if (e.reset_reason_name) parts.push(`reset: ${e.reset_reason_name}`);
  if (e.cause) parts.push(`cause ${e.cause}`);
  if (e.lost) parts.push(`${e.lost} events were not read in time`);
  if (e.confidence) parts.push(e.confidence);
  if (e.evidence?.length) parts.push(e.evidence.join('; '));
  return parts.join(', ');
}

export function events(main, link) {
  let kept = [];
  let fresh = false;
  let paused = false;
  let timer = 0;
  let stream = null;

  const field = h('input', {
    type: 'search',
    id: 'filter',
    value: link.query.get('filter') || '',
    placeholder: 'event SF_CLOSED and dst 10.0.0.0/8',
    'aria-label': 'Filter',
    autocomplete: 'off',
    spellcheck: 'false',
    onchange: typed,
  });
  const pause = h('button', { type: 'button', 'aria-pressed': 'false', onclick: toggle }, 'Pause');
  const total = h('span', { role: 'status' });
  const problem = h('p', { class: 'bad', role: 'alert' });
  const rows = h('tbody', {});
  main.append(
    h('div', { class: 'bar' }, h('h1', {}, 'Events'), field, pause, total),
    problem,
    h(
      'table',
      { class: 'log' },
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ['Time', 'Event', 'Connection', ''].map((n) => h('th', { scope: 'col' }, n)),
        ),
      ),
      rows,
    ),
  );

  function toggle() {
    paused = !paused;
    pause.setAttribute('aria-pressed', String(paused));
    setText(pause, paused ? 'Continue' : 'Pause');
    fresh = true;
  }

  function typed() {
    history.replaceState(null, '', hash('events', { filter: field.value }));
    open();
  }

  // open asks first whether the filter is well formed: a stream cannot say.
  async function open() {
    stream?.close();
    kept = [];
    fresh = true;
    setText(problem, '');
    try {
      await get('connections?' + new URLSearchParams({ filter: field.value, limit: 0 }));
    } catch (error) {
      if (error.status === 400 && error.answer.expected) {
        setText(problem, error.message);
        return;
      }
    }
    if (timer === null) return;
    stream = new Stream(field.value, '0', {
      most: MOST,
      event(e) {
        kept.push(e);
        if (kept.length > KEPT) kept.splice(0, kept.length - KEPT);
        fresh = true;
      },
      gap(n) {
        const evidence = [`${n} more came than are shown; a filter shows those that it lets through`];
        kept.push({ event: 'GAP', time: new Date().toISOString(), evidence });
        fresh = true;
      },
    });
  }

  function draw() {
    if (!fresh || paused) return;
    fresh = false;
    setText(total, `${kept.length} kept${kept.length > SHOWN ? `, the last ${SHOWN} shown` : ''}`);
    rows.replaceChildren(...kept.slice(-SHOWN).reverse().map(line));
  }

  timer = setInterval(draw, 250);
  open();
  return {
    close() {
      clearInterval(timer);
      timer = null;
      stream?.close();
    },
  };
}

function line(e) {
  const bad = ['LOST', 'GAP', 'OVERFLOW', 'SF_FAILED', 'ABORTED', 'FALLBACK', 'SF_SILENT'].includes(e.event);
  return h(
    'tr',
    {},
    h('td', { class: 'mono' }, clock(e.time)),
    h('td', { class: bad ? 'warn' : '' }, e.event + (e.derived ? ' *' : '')),
    h(
      'td',
      { class: 'mono' },
      e.token ? h('a', { href: connectionLink(e, { at: Date.parse(e.time) }) }, e.token) : '',
    ),
    h('td', {}, words(e)),
  );
}
