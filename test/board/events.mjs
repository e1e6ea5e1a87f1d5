/** `require('events')`, as far as the modules here need it. */
export class EventEmitter {
  constructor() {
    /** @type {Record<string, Function[]>} */
    this._events = {};
  }

  addListener(type, listener) {
    if (typeof listener !== 'function') throw new TypeError('listener must be a function');
    (this._events[type] ??= []).push(listener);
    return this;
  }

  on(type, listener) {
    return this.addListener(type, listener);
  }

  once(type, listener) {
    const once = (...args) => {
      this.removeListener(type, once);
      listener.apply(this, args);
    };
    return this.addListener(type, once);
  }

  removeListener(type, listener) {
    this._events[type] = (this._events[type] ?? []).filter((each) => each !== listener);
    return this;
  }

  off(type, listener) {
    return this.removeListener(type, listener);
  }

  removeAllListeners(type) {
    if (type === undefined) this._events = {};
    else delete this._events[type];
    return this;
  }

  emit(type, ...args) {
    const listeners = this._events[type] ?? [];
    if (type === 'error' && listeners.length === 0) throw args[0] instanceof Error ? args[0] : new Error("Uncaught 'error' event");
    for (const listener of [...listeners]) listener.apply(this, args);
    return listeners.length > 0;
  }
}
