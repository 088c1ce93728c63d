// The frame of the page: which view is shown, and how the server is.
import { get, Refusal, Unreachable } from './api.js';
import { h, parse, setText } from './dom.js';
import { overview } from './overview.js';
import { connections } from './connections.js';
import { connection } from './connection.js';
import { events } from './events.js';
import { counters, endpoints, findings } from './tables.js';

const views = { '': overview, connections, connection, events, endpoints, counters, findings };
const main = document.getElementById('main');
let current = null; // the view that is shown: {name, refresh, close, update}
let timer = 0;
let waiting = 0;

// A view is shown once it has what it shows, so that nothing moves when that comes; but after
// this time as it is.
const PATIENCE = 500;

// Leaving is what a view's close does; a view gets its place in the page, its link,
// and a function that tells how the last answer went.
function show() {
  const link = parse(location.hash);
  const name = link.parts[0];
  const path = link.parts.join('/');
  if (current && current.path === path && current.update) {
    current.update(link.query);
    return;
  }
  current?.close?.();
  main.replaceChildren();
  main.classList.add('waiting');
  clearTimeout(waiting);
  waiting = setTimeout(reveal, PATIENCE);
  const make = views[name];
  if (!make) {
    main.append(
      h('h1', {}, 'This view does not exist'),
      h('p', {}, h('a', { href: '#/' }, 'To the overview')),
    );
    current = null;
    return;
  }
  current = make(main, link);
  current.path = path;
  document.title = (link.parts[2] || name || 'overview') + ' – mptcpctl';
  for (const a of document.querySelectorAll('#nav a')) {
    const target = parse(a.hash).parts[0];
    if (target === name || (name === 'connection' && target === 'connections'))
      a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
  refresh();
}

function reveal() {
  main.classList.remove('waiting');
}

async function refresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 1000);
  if (document.hidden) return;
  const shown = current;
  const status = document.getElementById('link');
  try {
    const summary = await get('summary');
    status.className = 'live';
    setText(status, summary.replay ? 'recording' : 'live');
    document.getElementById('logout').hidden = !summary.session;
    tell(
      summary.replay
        ? `This is the recording ${summary.replay} as it was at ${new Date(summary.time).toLocaleString()}.`
        : summary.events_available
          ? summary.error
          : `No events: ${summary.events_reason}. The page polls the state and misses changes between two polls.`,
    );
    await shown?.refresh?.(summary);
    if (shown === current) reveal();
  } catch (error) {
    if (error.name === 'AbortError') return;
    if (!(error instanceof Refusal || error instanceof Unreachable)) throw error; // a fault of the page
    status.className = 'gone';
    setText(status, error.status ? error.message : 'the server does not answer; retrying');
    if (error.status === 401) location.reload();
  }
}

function tell(text) {
  const notice = document.getElementById('notice');
  notice.hidden = !text;
  setText(notice, text || '');
}

document.querySelector('.skip').addEventListener('click', (e) => {
  e.preventDefault();
  main.focus();
});
addEventListener('hashchange', show);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refresh();
});
addEventListener('keydown', (e) => {
  if (e.key !== '/' || e.target instanceof HTMLInputElement || e.ctrlKey || e.metaKey) return;
  const field = main.querySelector('input[type=search]');
  if (field) {
    e.preventDefault();
    field.focus();
  }
});
show();
