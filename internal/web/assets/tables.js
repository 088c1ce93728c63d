// Endpoints with their limits, counters, and what doctor finds.
import { get } from './api.js';
import { command, inside } from './copy.js';
import { h, labelled, setText } from './dom.js';
import { gauge } from './overview.js';
import { finding, ranked, report, WORDS } from './verdict.js';

const ENDPOINT = ['Id', 'Address', 'Port', 'Flags', 'Device', 'Used by'];
const COUNTER = ['Counter', 'Value', 'Last second', 'Meaning'];
const FLAGS = ['signal', 'subflow', 'backup', 'fullmesh', 'implicit', 'laminar'];

const headRow = (names) =>
  h(
    'thead',
    {},
    h(
      'tr',
      {},
      names.map((n) => h('th', { scope: 'col' }, n)),
    ),
  );

const namespace = (n) => (n.netns ? `Namespace ${n.netns}` : 'This namespace');

function endpointRow(n, e) {
  const used = n.connections[e.id] || 0;
  const cells = h(
    'tr',
    {},
    h('td', { class: 'num' }, String(e.id)),
    h('td', { class: 'mono' }, e.address || ''),
    h('td', {}, e.port ? String(e.port) : ''),
    h('td', {}, FLAGS.filter((f) => e[f]).join(' ') + (e.rawflags ? ` 0x${e.rawflags}` : '')),
    h('td', {}, e.dev || ''),
    h('td', { class: used ? '' : 'warn' }, used === 1 ? '1 connection' : `${used || 'no'} connections`),
  );
  return labelled(cells, ENDPOINT);
}

// unused returns what no connection uses, each with the command that says why, or makes it be
// used: endpoints, and addresses of devices without subflows that are no endpoints.
function unused(n, map) {
  const idle = n.endpoints
    .filter((e) => !n.connections[e.id] && e.address)
    .map((e) => ({
      words: `No connection has a subflow from ${e.address} (endpoint ${e.id}). Why:`,
      type: inside(n.netns, `endpoint check ${e.address}${e.dev ? ' dev ' + e.dev : ''}`),
    }));
  const free = map.devices
    .filter((d) => d.netns === n.netns && d.known && d.up && d.carrier && d.n === 0)
    .flatMap((d) => d.addresses.filter((a) => !a.endpoint).map((a) => ({ d, a })))
    .map(({ d, a }) => ({
      words: `${a.address} on ${d.name} is no endpoint, and nothing goes over ${d.name}. To use it:`,
      type: inside(n.netns, `endpoint add ${a.address} dev ${d.name} subflow`),
    }));
  return [...idle, ...free];
}

function limitsOf(n, own, map) {
  const l = map.limits.find((x) => x.netns === n.netns);
  const parts = [
    h(
      'p',
      {},
      `Path manager: ${n.path_manager || 'unknown'}. Limits of each connection: ` +
        `${own.subflows} additional subflows, ${own.add_addr_accepted} announced addresses.`,
    ),
  ];
  if (l && l.connections) parts.push(h('p', {}, gauge(l)));
  if (l && l.reached)
    parts.push(
      h('p', {}, 'To let connections that begin from now on have one more:'),
      command(inside(n.netns, `limits set subflows ${Math.min(8, Math.max(l.most, own.subflows) + 1)}`)),
    );
  return parts;
}

function endpointsOf(n, own, map) {
  const list =
    n.endpoints.length === 0
      ? h('p', { class: 'faint' }, 'No endpoints: no connection gets another subflow from this host.')
      : h(
          'table',
          { class: 'stack' },
          headRow(ENDPOINT),
          h(
            'tbody',
            {},
            n.endpoints.map((e) => endpointRow(n, e)),
          ),
        );
  const idle = unused(n, map);
  return h(
    'section',
    {},
    h('h2', {}, namespace(n)),
    limitsOf(n, own, map),
    list,
    idle.length ? h('h2', {}, 'Not used') : null,
    idle.flatMap((u) => [h('p', {}, u.words), command(u.type)]),
  );
}

export function endpoints(main) {
  const place = h('div', {});
  let told = '';
  main.append(h('h1', {}, 'Endpoints and limits'), place);
  return {
    async refresh() {
      const [list, limits, map] = await Promise.all([get('endpoints'), get('limits'), get('map')]);
      const sections = list.map((n) => endpointsOf(n, limits.find((l) => l.netns === n.netns) || {}, map));
      const text = sections.map((e) => e.textContent).join();
      if (text === told) return; // what is focused or selected stays
      told = text;
      place.replaceChildren(...sections);
    },
  };
}

export function counters(main) {
  const place = h('div', {});
  const all = h('input', { type: 'checkbox', id: 'all' });
  let before = {};
  main.append(
    h(
      'div',
      { class: 'bar' },
      h('h1', {}, 'Counters'),
      h('label', { for: 'all' }, all, ' also those that are zero'),
    ),
    place,
  );
  return {
    async refresh() {
      const list = await get('counters');
      const now = {};
      place.replaceChildren(
        ...list.flatMap((n) => [
          h('h2', {}, namespace(n)),
          h(
            'table',
            { class: 'stack' },
            headRow(COUNTER),
            h(
              'tbody',
              {},
              n.counters
                .filter((c) => c.value || all.checked)
                .map((c) => {
                  const key = `${n.netns}/${c.name}`;
                  now[key] = c.value;
                  const moved = key in before ? c.value - before[key] : 0;
                  const cells = h(
                    'tr',
                    {},
                    h(
                      'td',
                      { class: c.trouble && c.value ? 'warn mono' : 'mono' },
                      c.name + (c.trouble && c.value ? ' !' : ''),
                    ),
                    h('td', { class: 'num' }, String(c.value)),
                    h('td', { class: 'num' }, moved ? (moved > 0 ? '+' : '') + moved : ''),
                    h(
                      'td',
                      {},
                      c.meaning || '',
                      c.trouble && c.value && c.advice ? h('div', { class: 'faint' }, c.advice) : null,
                    ),
                  );
                  return labelled(cells, COUNTER);
                }),
            ),
          ),
        ]),
      );
      before = now;
    },
  };
}

export function findings(main) {
  const verdict = h('p', { role: 'status', class: 'verdict' });
  const place = h('div', { class: 'findings' });
  let told = '';
  main.append(h('h1', {}, 'Findings'), verdict, place);
  return {
    async refresh(summary) {
      if (!summary.doctor_available) {
        setText(
          verdict,
          'This server runs without doctor. `mptcpctl doctor` explains missing subflows and fallbacks.',
        );
        return;
      }
      const found = await report();
      const text = JSON.stringify(found.findings);
      const [, cls, sign] = WORDS[found.verdict] || ['', '', ''];
      setText(verdict, `${sign} Verdict: ${found.verdict}`);
      verdict.className = 'verdict ' + cls;
      if (text === told) return;
      told = text;
      place.replaceChildren(
        ...ranked(found.findings).map((f) => finding(f, { folded: f.severity === 'info' })),
      );
    },
  };
}
