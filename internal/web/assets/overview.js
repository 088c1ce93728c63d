import { get } from './api.js';
import { h, s, setText } from './dom.js';

const card = (name, cls) => {
  const value = h('b', { class: cls }, '–');
  return { value, element: h('div', { class: 'card' }, value, h('span', {}, name)) };
};

// overview shows how all is at a glance.
export function overview(main) {
  const cards = {
    verdict: card('verdict'),
    connections: card('connections'),
    subflows: card('subflows'),
    fallbacks: card('fell back to TCP'),
    rate: card('events in the last second'),
    events: card('events so far'),
    lost: card('events lost'),
    resyncs: card('resynchronised'),
  };
  const spark = s('svg', {
    class: 'plot spark',
    viewBox: '0 0 600 80',
    preserveAspectRatio: 'none',
    role: 'img',
    'aria-label': 'Events of each second of the last minute',
  });
  const states = h('table', {});
  main.append(
    h('h1', {}, 'Overview'),
    h(
      'div',
      { class: 'cards' },
      Object.values(cards).map((c) => c.element),
    ),
    h('h2', {}, 'Events of the last minute'),
    spark,
    h('h2', {}, 'States'),
    states,
  );
  let judged = 0;

  async function judge(summary) {
    if (!summary.doctor_available) {
      setText(cards.verdict.value, '–');
      return;
    }
    if (Date.now() - judged < 5000) return;
    judged = Date.now();
    const report = await get('findings');
    setText(cards.verdict.value, report.verdict);
    cards.verdict.value.className =
      { healthy: 'good', warning: 'warn', failure: 'bad', unknown: 'warn' }[report.verdict] || '';
  }

  return {
    async refresh(summary) {
      const seconds = summary.events_per_second;
      setText(cards.connections.value, summary.connections);
      setText(cards.subflows.value, summary.subflows);
      setText(cards.fallbacks.value, summary.fallbacks);
      cards.fallbacks.value.className = summary.fallbacks ? 'warn' : '';
      setText(cards.rate.value, seconds[seconds.length - 1]);
      setText(cards.events.value, summary.events);
      setText(cards.lost.value, summary.events_lost);
      cards.lost.value.className = summary.events_lost ? 'bad' : '';
      setText(cards.resyncs.value, summary.generation);
      drawRate(spark, seconds);
      const rows = [
        ['Connections', summary.by_state],
        ['Sides', summary.by_side],
        ['Subflows', summary.subflows_by_state],
      ];
      states.replaceChildren(
        ...rows.map(([name, counts]) =>
          h(
            'tr',
            {},
            h('th', { scope: 'row' }, name),
            h(
              'td',
              {},
              Object.entries(counts)
                .map(([k, n]) => `${k} ${n}`)
                .join(', ') || 'none',
            ),
          ),
        ),
      );
      await judge(summary);
    },
  };
}

function drawRate(svg, seconds) {
  const top = Math.max(10, ...seconds);
  svg.replaceChildren(
    ...seconds.map((n, i) =>
      s('rect', {
        class: 'area p0',
        x: i * 10 + 1,
        width: 8,
        y: 80 - (76 * n) / top,
        height: (76 * n) / top,
      }),
    ),
  );
}
