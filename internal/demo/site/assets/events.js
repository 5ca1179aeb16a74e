// What the server saw, as it happens. The server keeps the newest 200 events;
// so does the page.

const kept = 200;

export class Events {
  constructor(changed) {
    this.all = [];
    this.changed = changed;
    this.source = new EventSource('/demo/events');
    this.source.addEventListener('message', (e) => {
      this.all.push(JSON.parse(e.data));
      if (this.all.length > kept) this.all.shift();
      this.changed(this.all.at(-1));
    });
  }

  /** The events of one attempt, oldest first. */
  of(id) {
    return this.all.filter((e) => e.try === id);
  }
}
