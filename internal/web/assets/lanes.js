// lanes turns the story that the server tells of a connection into numbers to draw.
// What happened to each subflow, and what that means, the server has worked out.

const time = (text) => (text === undefined ? undefined : Date.parse(text));
const marks = (list) => list.map((m) => ({ ...m, at: time(m.time) }));

export function lanes(story) {
  return {
    lanes: story.lanes.map((l) => ({
      ...l,
      name: `${l.local} ${l.remote}`,
      end: time(l.end),
      segments: l.segments.map((part) => ({ state: part.state, from: time(part.from), to: time(part.to) })),
      marks: marks(l.marks),
    })),
    marks: marks(story.marks),
  };
}

// joined returns a lane that an earlier run of the server told of until a time, with
// what this run tells of it; lane is undefined where this one does not know it.
function joined(before, lane, until) {
  const past = before.segments.map((part) => ({ ...part, to: part.to ?? until }));
  if (!lane) return { ...before, segments: past, end: before.end ?? until };
  const later = lane.segments
    .filter((part) => (part.to ?? Infinity) > until)
    .map((part) => ({ ...part, from: Math.max(part.from, until) }));
  const last = past.at(-1);
  if (last && later.length > 0 && last.to === until && last.state === later[0].state) {
    later[0].from = last.from;
    past.pop();
  }
  const fresh = lane.marks.filter((m) => m.at > until);
  return { ...lane, segments: [...past, ...later], marks: [...before.marks, ...fresh] };
}

// continued returns what is told with what earlier runs of the server told before:
// one that was started again knows nothing of that.
export function continued(before, told) {
  if (!before) return told;
  const { until } = before;
  const old = before.lanes.map((l) =>
    joined(
      l,
      told.lanes.find((m) => m.name === l.name),
      until,
    ),
  );
  const fresh = told.lanes.filter((l) => !before.lanes.some((m) => m.name === l.name));
  return { lanes: [...old, ...fresh], marks: [...before.marks, ...told.marks.filter((m) => m.at > until)] };
}

// stateAt returns what a lane was at a time, '' outside its life.
export function stateAt(lane, t, now) {
  for (const s of lane.segments) if (t >= s.from && t <= (s.to ?? now)) return s.state;
  return '';
}
