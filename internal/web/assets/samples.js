// The samples of a connection: bytes and round-trip times of its subflows, one a second.

// joined returns the samples of an answer with those of earlier answers: they come in parts.
export function joined(before, answer) {
  const subflows = before.subflows;
  const place = answer.subflows.map((f) => {
    const i = subflows.findIndex((g) => g.local === f.local && g.remote === f.remote);
    return i < 0 ? subflows.push(f) - 1 : i;
  });
  const points = answer.points.map((p) => ({ t: p.t, f: p.f.map((f) => ({ ...f, s: place[f.s] })) }));
  return { subflows, points: [...before.points.slice(-900), ...points] };
}

// seen returns when a subflow was first sampled, Infinity where it never was.
export function seen(samples, name) {
  const n = samples.subflows.findIndex((f) => `${f.local} ${f.remote}` === name);
  return samples.points.find((p) => p.f.some((f) => f.s === n))?.t ?? Infinity;
}

const APART = 1900; // milliseconds

// rates returns the bytes a second of each subflow. The kernel's figures are read about once
// a second, and not when the sample is taken: a rate is that of two seconds, because that of
// one would swing between nothing and twice as much.
export function rates(samples) {
  const list = [];
  let first = 0;
  for (let i = 1; i < samples.points.length; i++) {
    const b = samples.points[i];
    if (b.t - samples.points[i - 1].t > 5000) first = i;
    while (first + 1 < i && b.t - samples.points[first + 1].t >= APART) first++;
    const a = samples.points[first];
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
