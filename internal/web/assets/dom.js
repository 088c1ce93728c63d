// What the views draw with. Strings always become text, never markup: names of
// processes and devices are foreign.
const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false)
      element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
  return element;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

// setText changes the text of an element only where it differs, so that selections
// and screen readers are left alone.
export function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

// labelled gives each cell of a row the name of its column: on a narrow screen rows are
// cards, which have no head.
export function labelled(row, names) {
  [...row.children].forEach((cell, i) => cell.setAttribute('data-label', names[i] || ''));
  return row;
}

export function bytes(n) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + ' ' + units[i];
}

export const rate = (n) => bytes(n) + '/s';
export const millis = (us) => (us ? (us / 1000).toFixed(us < 10000 ? 2 : 1) + ' ms' : '–');

const pad = (n, width = 2) => String(n).padStart(width, '0');

// clock returns a time of day with milliseconds, local.
export function clock(t) {
  const d = new Date(t);
  return `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;
}

// hash makes the link of a view with its parameters; parse takes it apart.
export function hash(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters || {})) {
    if (value !== undefined && value !== null && value !== '') query.set(name, value);
  }
  const text = query.toString();
  return '#/' + path + (text ? '?' + text : '');
}

export function parse(text) {
  const [path, query] = text.replace(/^#?\/?/, '').split('?', 2);
  return { parts: path.split('/').map(decodeURIComponent), query: new URLSearchParams(query || '') };
}

export const connectionLink = (c, more) =>
  hash(`connection/${encodeURIComponent(c.netns || '-')}/${c.token}`, more);
