// The table of connections. The server filters and sorts; the page holds only the
// rows that can be seen, so that 10,000 cost no more than 50.
import { get, Refusal } from './api.js';
import { bytes, connectionLink, h, hash, setText } from './dom.js';

// A row is two lines high on a narrow screen, as the style has it.
const rowHeight = () => (matchMedia('(max-width: 760px)').matches ? 50 : 28);
const COLUMNS = [
  ['token', 'Token'],
  ['state', 'State'],
  ['', 'Side'],
  ['local', 'Local'],
  ['remote', 'Remote'],
  ['subflows', 'Subflows'],
  ['bytes', 'Bytes'],
  ['', 'Process'],
];

const NUMBERS = ['subflows', 'bytes'];

export function connections(main, link) {
  let filter = link.query.get('filter') || '';
  let sort = link.query.get('sort') || 'local';
  let abort = null;
  let typing = 0;
  let scrolling = 0;

  const field = h('input', {
    type: 'search',
    id: 'filter',
    value: filter,
    placeholder: 'dst :443 and subflows < 2',
    'aria-label': 'Filter',
    'aria-describedby': 'problem',
    autocomplete: 'off',
    spellcheck: 'false',
    oninput: typed,
  });
  const total = h('span', { role: 'status', id: 'total' }, '');
  const problem = h('p', { class: 'bad', id: 'problem', role: 'alert' });
  const spacer = h('div', { class: 'spacer' });
  const scroll = h('div', { class: 'scroll', role: 'rowgroup', onscroll: later, onkeydown: keys });
  const headers = COLUMNS.map(([column, name]) =>
    h(
      'span',
      { role: 'columnheader', class: NUMBERS.includes(column) && 'right' },
      column
        ? h(
            'button',
            {
              type: 'button',
              onclick: () => {
                location.hash = hash('connections', {
                  filter,
                  sort: sort === column ? '-' + column : column,
                });
              },
            },
            name,
          )
        : name,
    ),
  );
  const head = h('div', { class: 'row head', role: 'row' }, headers);
  scroll.append(spacer);
  main.append(
    h('div', { class: 'bar' }, h('h1', {}, 'Connections'), field, total),
    problem,
    h('div', { class: 'grid', role: 'table', 'aria-label': 'Connections' }, head, scroll),
  );

  function typed() {
    clearTimeout(typing);
    typing = setTimeout(() => {
      history.replaceState(null, '', hash('connections', { filter: field.value, sort }));
      update(new URLSearchParams({ filter: field.value, sort }));
    }, 250);
  }

  function update(query) {
    filter = query.get('filter') || '';
    sort = query.get('sort') || 'local';
    if (field.value !== filter) field.value = filter;
    mark();
    load();
  }

  // mark shows by which column the rows are sorted, and which way.
  function mark() {
    headers.forEach((header, i) => {
      const [column] = COLUMNS[i];
      if (column)
        header.setAttribute(
          'aria-sort',
          { [column]: 'ascending', ['-' + column]: 'descending' }[sort] || 'none',
        );
    });
  }

  function later() {
    clearTimeout(scrolling);
    scrolling = setTimeout(load, 40);
  }

  async function load() {
    abort?.abort();
    abort = new AbortController();
    const offset = Math.max(0, Math.floor(scroll.scrollTop / rowHeight()) - 10);
    const limit = Math.ceil(scroll.clientHeight / rowHeight()) + 20;
    try {
      draw(
        await get(
          'connections?' + new URLSearchParams({ filter, sort, offset, limit, form: 'row' }),
          abort.signal,
        ),
      );
      setText(problem, '');
    } catch (error) {
      if (error.name === 'AbortError') return;
      if (!(error instanceof Refusal)) throw error;
      setText(problem, error.message);
    }
  }

  function draw(page) {
    setText(total, `${page.total} match${page.total === 1 ? '' : 'es'}`);
    spacer.style.height = page.total * rowHeight() + 'px';
    const focused = document.activeElement?.dataset?.token;
    spacer.replaceChildren(...page.connections.map((c, i) => row(c, page.offset + i)));
    if (focused)
      spacer.querySelector(`[data-token="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  // keys moves along the rows.
  function keys(e) {
    const next = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[e.key];
    const to = next && document.activeElement?.[next];
    if (to) {
      e.preventDefault();
      to.focus();
    }
  }

  mark();
  return {
    refresh: load,
    update: (query) => update(query),
    close() {
      abort?.abort();
      clearTimeout(typing);
      clearTimeout(scrolling);
    },
  };
}

function row(c, index) {
  const cells = [
    h('span', { class: 'mono' }, c.token),
    h('span', { class: c.fallback ? 'warn' : '' }, c.fallback ? 'fallback' : c.state),
    h('span', {}, c.side),
    h('span', { class: 'mono' }, c.local),
    h('span', { class: 'mono' }, c.remote),
    h('span', { class: 'right' }, String(c.subflow_count)),
    h('span', { class: 'right num' }, bytes(c.bytes_carried)),
    h('span', {}, (c.processes || []).map((p) => `${p.name} ${p.pid}`).join(', ')),
  ];
  cells.forEach((cell) => cell.setAttribute('role', 'cell'));
  const a = h(
    'a',
    { class: 'row', role: 'row', href: connectionLink(c), 'data-token': c.token, 'aria-rowindex': index + 1 },
    cells,
  );
  a.style.top = index * rowHeight() + 'px';
  return a;
}
