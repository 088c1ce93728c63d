// Stream follows the events that a filter lets through, over restarts of the server
// and pauses of the page: a hidden page holds no stream, and reads on from the last
// event that it saw.
export class Stream {
  constructor(filter, after, handlers) {
    Object.assign(this, { filter, after, handlers });
    this.visibility = () => (document.hidden ? this.pause() : this.open());
    document.addEventListener('visibilitychange', this.visibility);
    this.open();
  }

  open() {
    if (this.source || this.closed) return;
    const query = new URLSearchParams();
    if (this.filter) query.set('filter', this.filter);
    if (this.handlers.most) query.set('most', this.handlers.most);
    if (this.after) query.set('after', this.after);
    const source = new EventSource('/api/v1/events?' + query);
    this.source = source;
    source.addEventListener('hello', (e) => {
      const { epoch } = JSON.parse(e.data);
      const restarted = this.epoch !== undefined && this.epoch !== epoch;
      this.epoch = epoch;
      this.handlers.open?.(restarted);
    });
    source.addEventListener('gap', (e) => {
      this.after = e.lastEventId;
      this.handlers.gap?.(JSON.parse(e.data).missed);
    });
    source.onmessage = (e) => {
      this.after = e.lastEventId;
      this.handlers.event(JSON.parse(e.data));
    };
    source.onerror = () => {
      this.handlers.lost?.();
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      this.pause();
      this.retry = setTimeout(() => this.open(), 2000);
    };
  }

  pause() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  close() {
    this.closed = true;
    this.pause();
    document.removeEventListener('visibilitychange', this.visibility);
  }
}
