// The time that the plots of a connection show, and the place of a time in them.
import { widthOf } from './chart.js';

export const RIGHT = 10;

const SHORTEST = 10000; // of the window that fits the connection's life
const LONGEST = 900000;
const SPANS = [2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 9e5, 36e5, 144e5, 864e5];

// Axis is as wide as the plot is, with room for words at its left. It has a span in
// milliseconds, its end, and the cursor, all three times of the page's address. While it
// follows, its end is now. The function now says what time that is.
export class Axis {
  constructor(query, now) {
    const number = (name) => Number(query.get(name)) || null;
    this.now = now;
    this.width = 1000;
    this.left = 250;
    this.span = number('span') || SHORTEST;
    this.fitted = !number('span'); // to the life of the connection
    this.end = number('end');
    this.at = number('at');
    if (this.at && !this.end) this.end = this.at + this.span / 2;
    this.following = !this.end;
  }

  // query returns what an address must carry to show the same.
  query() {
    return {
      span: this.fitted ? null : Math.round(this.span),
      end: this.following ? null : Math.round(this.end),
      at: this.at && Math.round(this.at),
    };
  }

  // fit takes the width of a plot, and the window that shows the life of a connection.
  fit(svg, began) {
    this.width = widthOf(svg);
    this.left = this.width < 620 ? 118 : 250;
    if (this.fitted && this.following && began)
      this.span = Math.min(LONGEST, Math.max(SHORTEST, (this.now() - began) * 1.02));
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
    return this.left + ((t - from) / (to - from)) * (this.width - RIGHT - this.left);
  }

  // clip returns the place of a time, at the nearest edge if it is not shown.
  clip(t) {
    return Math.min(this.width - RIGHT, Math.max(this.left, this.x(t)));
  }

  // timeOf returns the time under the pointer in a plot, or null beside its axis.
  timeOf(event) {
    const box = event.currentTarget.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * this.width;
    return at < this.left ? null : this.range()[0] + (at - this.left) * this.perPixel();
  }

  // perPixel returns how many milliseconds a pixel is.
  perPixel() {
    return this.span / (this.width - RIGHT - this.left);
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
    this.fitted = false;
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
    this.fitted = true;
    this.end = null;
    this.at = null;
  }
}
