// lanes turns the history of a connection into what the timeline draws: a lane for
// each subflow with its segments, and marks. It is pure: the answer of the server in,
// numbers and words out.

const join = (address, port) => {
  const a = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  return a.includes(':') ? `[${a}]:${port}` : `${a}:${port}`;
};

// flow returns the name of the subflow that an event is about, or null.
export function flow(e) {
  const from = e.saddr4 || e.saddr6;
  const to = e.daddr4 || e.daddr6;
  if (!from || !to || e.sport === undefined || e.dport === undefined) return null;
  return `${join(from, e.sport)} ${join(to, e.dport)}`;
}

const nameOf = (f) => `${f.local} ${f.remote}`;
const STATE = { SF_PENDING: 'pending', SF_ESTABLISHED: 'established', SF_SILENT: 'silent', SF_STALE: 'stale' };
const END = { SF_CLOSED: true, SF_FAILED: true };

export function lanes(details, now) {
  const byName = new Map();
  const marks = [];
  const history = details.history.map((e) => ({ ...e, at: Date.parse(e.time) }));
  const live = details.connection.subflows;
  const first = Math.min(now, ...history.map((e) => e.at), ...details.samples.points.slice(0, 1).map((p) => p.t), ...(details.connection.since ? [Date.parse(details.connection.since)] : []));
  const lane = (name, from) => {
    if (!byName.has(name)) byName.set(name, { name, segments: [], marks: [], from });
    return byName.get(name);
  };
  const change = (l, at, state) => {
    const last = l.segments[l.segments.length - 1];
    if (last && last.to === undefined) {
      if (last.state === state) return;
      last.to = at;
    }
    l.segments.push({ state, from: at });
  };
  const end = (l, at, reason) => {
    const last = l.segments[l.segments.length - 1];
    if (last && last.to === undefined) last.to = at;
    else if (!last) l.segments.push({ state: 'unknown', from: first, to: at });
    l.reason = reason;
    l.end = at;
  };
  for (const e of history) {
    const name = flow(e);
    if ((e.event === 'CREATED' || e.event === 'ESTABLISHED') && name) {
      const l = lane(name);
      if (e.event === 'CREATED' || l.segments.length === 0) change(l, e.at, 'established');
      l.initial = true;
      marks.push({ at: e.at, event: e, kind: 'begin' });
    } else if (STATE[e.event] && name) {
      change(lane(name), e.at, STATE[e.event]);
      lane(name).marks.push({ at: e.at, event: e, kind: e.derived ? 'derived' : 'begin' });
    } else if (END[e.event] && name) {
      end(lane(name), e.at, e.reset_reason_name ? `reset: ${e.reset_reason_name}` : e.error_name || (e.event === 'SF_FAILED' ? 'never came up' : 'closed'));
      lane(name).marks.push({ at: e.at, event: e, kind: 'end' });
    } else if (e.event === 'SF_PRIO' && name) {
      lane(name).marks.push({ at: e.at, event: e, kind: 'prio' });
    } else {
      marks.push({ at: e.at, event: e, kind: e.event === 'CLOSED' || e.event === 'ABORTED' ? 'end' : e.derived ? 'derived' : 'mark' });
    }
  }
  for (const c of details.closed_subflows) {
    const l = lane(nameOf(c));
    Object.assign(l, { device: c.device, initial: c.initial });
    if (l.end === undefined) end(l, Date.parse(c.time), 'closed');
  }
  for (const f of live) {
    const l = lane(nameOf(f));
    Object.assign(l, { device: f.device, initial: f.initial, backup: f.backup_local || f.backup_remote });
    if (l.segments.length === 0) l.segments.push({ state: 'established', from: first, cut: true });
    if (!details.ended && l.segments[l.segments.length - 1].to === undefined) change(l, now, f.state);
  }
  const over = details.ended ? Date.parse(details.ended.time) : undefined;
  for (const l of byName.values()) if (over !== undefined && l.end === undefined) end(l, over, details.ended.how);
  const list = [...byName.values()].sort((a, b) => Number(Boolean(b.initial)) - Number(Boolean(a.initial)) || (a.segments[0]?.from ?? 0) - (b.segments[0]?.from ?? 0));
  return { lanes: list, marks, first, last: over ?? now };
}

// stateAt returns what a lane was at a time, '' outside its life.
export function stateAt(lane, t, now) {
  for (const s of lane.segments) if (t >= s.from && t <= (s.to ?? now)) return s.state;
  return '';
}

// rates returns, for each pair of samples, the bytes a second of each subflow.
export function rates(samples) {
  const list = [];
  for (let i = 1; i < samples.points.length; i++) {
    const [a, b] = [samples.points[i - 1], samples.points[i]];
    const seconds = (b.t - a.t) / 1000;
    if (seconds <= 0 || seconds > 5) continue;
    const values = samples.subflows.map((_, n) => {
      const x = a.f.find((f) => f.s === n);
      const y = b.f.find((f) => f.s === n);
      return x && y ? Math.max(0, y.tx + y.rx - x.tx - x.rx) / seconds : 0;
    });
    list.push({ t: b.t, values });
  }
  return list;
}
