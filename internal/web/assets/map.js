// The map: this host's devices at the left, peers at the right, ribbons of subflows between.
import { h, hash, millis, rate, s } from './dom.js';
import { widthOf } from './chart.js';

export const LOOKS = {
  established: 'carries data',
  backup: 'backup',
  pending: 'joining',
  silent: 'silent or stale',
  failed: 'join failed in the last minute',
  fallback: 'fell back to TCP',
};

const PEER = 24;
const GAP = 10;
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;
const cut = (text, room) => (text.length > room ? text.slice(0, Math.max(1, room - 1)) + '…' : text);
const both = (o) => `↑ ${rate(o.tx)}  ↓ ${rate(o.rx)}`;
const colorOf = (d) => (d.color < 0 ? 'p7' : `p${d.color % 8}`);

export const deviceName = (d) => (d.netns ? d.netns + ' ' : '') + (d.name || 'no device known');
export const peerName = (p) =>
  p.several ? `${p.several} others` : (p.netns ? p.netns + ' ' : '') + (p.name || 'no address known');

// ribbonFilter returns the filter for the connections behind a ribbon.
const ribbonFilter = (map, r) =>
  [map.device_filters[r.device], map.peer_filters[r.peer], r.state === 'fallback' ? 'fallback' : '']
    .filter(Boolean)
    .join(' and ');

const link = (filter) => hash('connections', { filter, sort: '-bytes' });

function deviceWords(d) {
  const state = !d.known ? '' : !d.up ? 'down' : !d.carrier ? 'no carrier' : '';
  return [plural(d.n, 'subflow'), d.rtt ? millis(d.rtt) : '', state].filter(Boolean).join(', ');
}

function addressWords(a) {
  if (!a.endpoint) return a.address;
  return `${a.address} id ${a.endpoint} ${a.flags.join(' ')}`;
}

// ribbonWords says what a ribbon is.
export function ribbonWords(map, r) {
  const words = [
    `${deviceName(map.devices[r.device])} – ${peerName(map.peers[r.peer])}`,
    r.state === 'failed' ? plural(r.n, 'join') + ' failed in the last minute' : plural(r.n, 'subflow'),
  ];
  if (r.state !== 'failed') words.push(LOOKS[r.state], both(r));
  if (r.rtt) words.push(`round trip up to ${millis(r.rtt)}`);
  if (r.reason) words.push(`because: ${r.reason}`);
  if (r.state === 'fallback' && map.peers[r.peer].cause) words.push(`cause ${map.peers[r.peer].cause}`);
  return words.join(', ');
}

// layout gives each device and peer its place, and each ribbon its thickness.
function layout(map, width) {
  const narrow = width < 620;
  const left = narrow ? Math.round(width * 0.36) : 250;
  const right = width - (narrow ? Math.round(width * 0.36) : 330);
  const most = Math.max(1, ...map.ribbons.map((r) => r.tx + r.rx));
  const thick = (r) => 1.5 + 20 * Math.sqrt((r.tx + r.rx) / most);
  const place = (items, key, least) => {
    const gap = key === 'peer' ? 4 : GAP;
    let y = 4;
    return items.map((item, i) => {
      const own = map.ribbons.filter((r) => r[key] === i).reduce((sum, r) => sum + thick(r) + 2, 0);
      const height = Math.max(least(item), own + 4);
      const at = { y, height, next: y + (height - own) / 2 };
      y += height + gap;
      return at;
    });
  };
  const lines = (d) => (narrow ? 3 : 3 + Math.min(3, d.addresses.length));
  const devices = place(map.devices, 'device', (d) => 8 + 16 * lines(d));
  const peers = place(map.peers, 'peer', () => (narrow ? 36 : PEER - 2));
  const end = (list) => (list.length ? list.at(-1).y + list.at(-1).height : 0);
  return {
    ...{ narrow, left, right, thick, devices, peers },
    height: Math.max(60, end(devices), end(peers)) + 6,
  };
}

function drawDevice(map, l, d, i) {
  const at = l.devices[i];
  const chars = Math.floor((l.left - 16) / 7.4);
  const rows = [
    s('text', { class: 'strong', x: 12, y: at.y + 16 }, cut(deviceName(d), chars)),
    s('text', { x: 12, y: at.y + 32 }, cut(l.narrow ? rate(d.tx + d.rx) : both(d), chars)),
    s('text', { class: 'faint', x: 12, y: at.y + 48 }, cut(deviceWords(d), chars)),
  ];
  if (!l.narrow)
    d.addresses.slice(0, 3).forEach((a, n) => {
      const more = n === 2 && d.addresses.length > 3 ? ` and ${d.addresses.length - 3} more` : '';
      rows.push(
        s(
          'text',
          { class: 'faint', x: 12, y: at.y + 64 + 16 * n },
          cut(addressWords(a), chars - more.length) + more,
        ),
      );
    });
  const title = `${deviceName(d)}: ${deviceWords(d)}, ${both(d)}; ${d.addresses.map(addressWords).join(', ')}`;
  const box = { class: 'node', x: 1, y: at.y, width: l.left - 2, height: at.height, rx: 4 };
  return s(
    'a',
    { href: link(map.device_filters[i]), 'data-key': 'd' + i, 'aria-label': title, 'data-words': title },
    s('rect', box),
    s('rect', { class: `band ${colorOf(d)}`, x: 1, y: at.y, width: 5, height: at.height }),
    rows,
  );
}

function drawPeer(map, l, p, i, width) {
  const at = l.peers[i];
  const room = width - l.right - 10;
  const fell = p.fallbacks ? `, ${p.fallbacks} fell back` : '';
  const figures = `${plural(p.connections, 'connection')}${fell}`;
  const title = `${peerName(p)}: ${figures}, ${both(p)}${p.cause ? ', cause ' + p.cause : ''}`;
  const y = at.y + (l.narrow ? 15 : at.height / 2 + 4);
  const sums = rate(p.tx + p.rx);
  const chars = Math.floor(room / 7.4);
  const count = l.narrow
    ? sums
    : `${p.connections}${p.fallbacks ? ' (' + p.fallbacks + ' TCP)' : ''} · ${sums}`;
  const name = cut(peerName(p), l.narrow ? chars : chars - count.length - 2);
  const warn = p.fallbacks ? 'warn' : 'faint';
  return s(
    'a',
    { href: link(map.peer_filters[i]), 'data-key': 'p' + i, 'aria-label': title, 'data-words': title },
    s('rect', { class: 'node', x: l.right, y: at.y, width: width - l.right - 1, height: at.height, rx: 4 }),
    s('text', { x: l.right + 8, y }, name),
    l.narrow
      ? s('text', { class: warn, x: l.right + 8, y: y + 15 }, cut(count, chars))
      : s('text', { class: warn, x: width - 8, y, 'text-anchor': 'end' }, count),
  );
}

function drawRibbon(map, l, r) {
  const from = l.devices[r.device];
  const to = l.peers[r.peer];
  const thickness = l.thick(r);
  const y1 = from.next + thickness / 2 + 1;
  const y2 = to.next + thickness / 2 + 1;
  from.next += thickness + 2;
  to.next += thickness + 2;
  const middle = (l.left + l.right) / 2;
  const words = ribbonWords(map, r);
  const d = `M${l.left} ${y1}C${middle} ${y1} ${middle} ${y2} ${l.right} ${y2}`;
  const parts = [
    s('path', {
      class: `ribbon ${r.state} ${colorOf(map.devices[r.device])}`,
      d,
      'stroke-width': thickness.toFixed(1),
      'data-words': words,
      'data-filter': ribbonFilter(map, r),
    }),
  ];
  const sign = { failed: '✗', fallback: 'TCP', silent: '?' }[r.state];
  if (sign) {
    const at = { x: l.right - 14, y: y2 - thickness / 2 - 3, 'text-anchor': 'end', class: `sign ${r.state}` };
    parts.push(s('text', at, sign));
  }
  return parts;
}

// draw draws the map for the width that it has.
export function draw(svg, map) {
  const width = widthOf(svg);
  const l = layout(map, width);
  const focused = document.activeElement?.getAttribute('data-key');
  svg.setAttribute('viewBox', `0 0 ${width} ${l.height}`);
  svg.setAttribute('height', l.height);
  svg.replaceChildren(
    ...map.ribbons.flatMap((r) => drawRibbon(map, l, r)),
    ...map.devices.map((d, i) => drawDevice(map, l, d, i)),
    ...map.peers.map((p, i) => drawPeer(map, l, p, i, width)),
  );
  if (focused) svg.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

// legend says how ribbons look; those looks alone that the map has.
export function legend(map) {
  const here = Object.keys(LOOKS).filter((look) => map.ribbons.some((r) => r.state === look));
  return here.map((look) => {
    const sample = s('svg', {
      class: 'sample',
      viewBox: '0 0 34 10',
      width: 34,
      height: 10,
      'aria-hidden': 'true',
    });
    const path = { class: `ribbon ${look} p7`, d: 'M0 5H34', 'stroke-width': look === 'established' ? 8 : 4 };
    sample.append(s('path', path));
    return h('span', {}, sample, ' ' + LOOKS[look]);
  });
}

// rows returns the map as rows of a table, which says the same without a picture.
export function rows(map) {
  return map.ribbons.map((r) =>
    h(
      'tr',
      {},
      h('td', {}, deviceName(map.devices[r.device])),
      h('td', {}, h('a', { href: link(ribbonFilter(map, r)) }, peerName(map.peers[r.peer]))),
      h('td', {}, LOOKS[r.state], r.reason ? `: ${r.reason}` : ''),
      h('td', { class: 'num' }, String(r.n)),
      h('td', { class: 'num' }, rate(r.tx)),
      h('td', { class: 'num' }, rate(r.rx)),
      h('td', { class: 'num' }, millis(r.rtt)),
    ),
  );
}
