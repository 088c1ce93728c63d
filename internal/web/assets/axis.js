// The time that the plots of a connection show, and the place of a time in them.

export const WIDTH = 1000;
export const LEFT = 250;

const USUAL = 30000;
const SPANS = [2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 9e5, 36e5, 144e5, 864e5];

// Axis has a span in milliseconds, its end, and the cursor, all three times of the page's
// address. While it follows, its end is now. The function now says what time that is.
export class Axis {
  constructor(query, now) {
    const number = (name) => Number(query.get(name)) || null;
    this.now = now;
    this.span = number('span') || USUAL;
    this.end = number('end');
    this.at = number('at');
    if (this.at && !this.end) this.end = this.at + this.span / 2;
    this.following = !this.end;
  }

  // query returns what an address must carry to show the same.
  query() {
    return {
      span: this.span === USUAL ? null : this.span,
      end: this.following ? null : Math.round(this.end),
      at: this.at && Math.round(this.at),
    };
  }

  range() {
    const end = this.following ? this.now() : this.end;
    return [end - this.span, end];
  }

  shows(t) {
    const [from, to] = this.range();
    return t >= from && t <= to;
  }

  x(t) {
    const [from, to] = this.range();
    return LEFT + ((t - from) / (to - from)) * (WIDTH - LEFT);
  }

  // clip returns the place of a time, at the nearest edge if it is not shown.
  clip(t) {
    return Math.min(WIDTH, Math.max(LEFT, this.x(t)));
  }

  // timeOf returns the time under the pointer in a plot, or null beside its axis.
  timeOf(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * WIDTH;
    const [from, to] = this.range();
    return at < LEFT ? null : from + ((at - LEFT) / (WIDTH - LEFT)) * (to - from);
  }

  // zoom takes the next longer span, or with -1 the next shorter one, and keeps the time
  // around in its place.
  zoom(step, around) {
    const [from] = this.range();
    const i = Math.max(
      0,
      SPANS.findIndex((n) => n >= this.span),
    );
    const span = SPANS[Math.min(SPANS.length - 1, Math.max(0, i + step))];
    if (around && !this.following) this.end = around + span * (1 - (around - from) / this.span);
    this.span = span;
  }

  move(ms) {
    this.end = this.range()[1] + ms;
    this.following = false;
  }

  // center shows a time in the middle, with the cursor on it.
  center(t) {
    this.at = t;
    this.end = t + this.span / 2;
    this.following = false;
  }

  live() {
    this.following = true;
    this.end = null;
    this.at = null;
  }
}
