// What doctor finds, beside what it is about: the verdict, findings with their reasons and
// commands. Explanations that need no action come last and are folded.
import { get } from './api.js';
import { step } from './copy.js';
import { h, hash } from './dom.js';

const WEIGHT = { fail: 0, warn: 1, info: 2 };
const AGE = 5000;
const shared = { at: 0, answer: null };

// report returns doctor's report; views that ask at about the same time share one.
export function report() {
  if (!shared.answer || Date.now() - shared.at > AGE) {
    shared.at = Date.now();
    shared.answer = get('findings');
    shared.answer.catch(() => {
      shared.answer = null;
    });
  }
  return shared.answer;
}

// ranked returns the findings, those first that call for action.
export function ranked(findings) {
  return findings
    .map((f, i) => ({ f, i }))
    .sort((a, b) => (WEIGHT[a.f.severity] ?? 3) - (WEIGHT[b.f.severity] ?? 3) || a.i - b.i)
    .map(({ f }) => f);
}

// subject returns a link to what a finding is about, null where that is the host.
export function subject(f) {
  const s = f.subject || {};
  if (s.token)
    return h(
      'a',
      { href: hash(`connection/${encodeURIComponent(s.netns || '-')}/${s.token}`) },
      `connection ${s.token}`,
    );
  if (s.endpoint)
    return h(
      'a',
      { href: hash('connections', { filter: `src ${s.endpoint}` }) },
      `connections from ${s.endpoint}`,
    );
  return null;
}

const evidence = (f) =>
  h(
    'ul',
    {},
    (f.evidence || []).map((e) => h('li', {}, e)),
  );

// excluded lists the facts that exclude other causes: why a finding is certain.
const excluded = (f) =>
  f.excluded
    ? h(
        'ul',
        { class: 'faint', 'aria-label': 'Why it is certain' },
        f.excluded.map((x) => h('li', {}, x.fact + (x.rules ? ` (excludes ${x.rules.join(', ')})` : ''))),
      )
    : null;

// finding returns a finding with its reason and its commands. A folded one shows its title.
export function finding(f, { folded = false } = {}) {
  const about = subject(f);
  const body = [
    h('p', { class: 'faint' }, `${f.severity}, ${f.confidence}`, about ? ', about ' : null, about),
    evidence(f),
    excluded(f),
    (f.fix || []).map(step),
  ];
  const title = `${f.rule} ${f.title}`;
  if (folded) return h('details', { class: 'finding ' + f.severity }, h('summary', {}, title), body);
  return h('article', { class: 'finding ' + f.severity }, h('h3', {}, title), body);
}

// short returns a finding in two lines: what is wrong and why, and what to type.
export function short(f) {
  const about = subject(f);
  const [first] = f.evidence || [];
  const fix = (f.fix || []).find((line) => !line.startsWith('#'));
  return h(
    'article',
    { class: 'finding ' + f.severity },
    h('p', {}, h('strong', {}, `${f.rule} ${f.title}`), about ? ' – ' : null, about),
    first ? h('p', { class: 'faint clip' }, first) : null,
    fix ? step(fix) : null,
  );
}

export const WORDS = {
  healthy: ['Healthy', 'good', '✓'],
  warning: ['Warning', 'warn', '!'],
  failure: ['Failure', 'bad', '✗'],
  unknown: ['Unknown', 'warn', '?'],
};
