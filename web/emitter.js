// Tell those who asked; each listener can be taken back.

export class Emitter {
  #listeners = new Map();

  /** Call `listener` for each event of a name; returns what takes it back. */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  emit(name, ...values) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) listener(...values);
  }
}
