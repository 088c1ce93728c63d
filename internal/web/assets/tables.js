// Endpoints with their limits, counters, and what doctor finds.
import { get } from './api.js';
import { h, setText } from './dom.js';

const headRow = (...names) =>
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

export function endpoints(main) {
  const place = h('div', {});
  main.append(h('h1', {}, 'Endpoints and limits'), place);
  return {
    async refresh() {
      const [list, limits] = await Promise.all([get('endpoints'), get('limits')]);
      place.replaceChildren(
        ...list.flatMap((n) => {
          const own = limits.find((l) => l.netns === n.netns) || {};
          return [
            h('h2', {}, namespace(n)),
            h(
              'p',
              {},
              `Path manager: ${n.path_manager || 'unknown'}. ` +
                `Limits of each connection: ${own.subflows} additional subflows, ` +
                `${own.add_addr_accepted} announced addresses.`,
            ),
            n.endpoints.length === 0
              ? h('p', { class: 'faint' }, 'No endpoints: no connection gets another subflow from this host.')
              : h(
                  'table',
                  {},
                  headRow('Id', 'Address', 'Port', 'Flags', 'Device', 'Used by'),
                  h(
                    'tbody',
                    {},
                    n.endpoints.map((e) =>
                      h(
                        'tr',
                        {},
                        h('td', { class: 'num' }, String(e.id)),
                        h('td', { class: 'mono' }, e.address || ''),
                        h('td', {}, e.port ? String(e.port) : ''),
                        h(
                          'td',
                          {},
                          ['signal', 'subflow', 'backup', 'fullmesh', 'implicit', 'laminar']
                            .filter((f) => e[f])
                            .join(' ') + (e.rawflags ? ` 0x${e.rawflags}` : ''),
                        ),
                        h('td', {}, e.dev || ''),
                        h('td', {}, `${n.connections[e.id] || 0} connections`),
                      ),
                    ),
                  ),
                ),
          ];
        }),
      );
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
            {},
            headRow('Counter', 'Value', 'Last second', 'Meaning'),
            h(
              'tbody',
              {},
              n.counters
                .filter((c) => c.value || all.checked)
                .map((c) => {
                  const key = `${n.netns}/${c.name}`;
                  now[key] = c.value;
                  const moved = key in before ? c.value - before[key] : 0;
                  return h(
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
  const verdict = h('p', { role: 'status' });
  const place = h('div', {});
  let asked = 0;
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
      if (Date.now() - asked < 5000) return;
      asked = Date.now();
      const report = await get('findings');
      setText(verdict, `Verdict: ${report.verdict}`);
      place.replaceChildren(
        ...report.findings.map((f) =>
          h(
            'article',
            { class: 'finding ' + f.severity },
            h('h2', {}, `${f.rule} ${f.title}`),
            h('p', { class: 'faint' }, `${f.severity}, ${f.confidence}`),
            h(
              'ul',
              {},
              (f.evidence || []).map((e) => h('li', {}, e)),
            ),
            (f.fix || []).length
              ? h('pre', { tabindex: '0', 'aria-label': 'How to fix it' }, f.fix.join('\n'))
              : null,
          ),
        ),
      );
    },
  };
}
