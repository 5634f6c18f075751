/*
 * Counters and lists over a store that has neither transactions nor merge operators, only reads and
 * durable batches of writes: reads of a group go out at once, and so do its writes.
 */
import { Groups } from './in-flight.mjs';

export class GroupedCounters {
  #groups;
  #store;

  constructor(store) {
    this.#store = store;
    this.#groups = new Groups((lists) => this.#apply(lists));
  }

  add(pairs) {
    return this.#groups.add(pairs);
  }

  async get(key) {
    return (await this.#store.getMany([`counter-${key}`]))[0];
  }

  async #apply(lists) {
    const sums = new Map();
    for (const pairs of lists) {
      for (const [key, amount] of pairs) {
        const name = `counter-${key}`;
        sums.set(name, (sums.get(name) ?? 0) + amount);
      }
    }
    const keys = [...sums.keys()];
    const values = await this.#store.getMany(keys);
    const puts = keys.map((key, i) => [key, (values[i] ?? 0) + sums.get(key)]);
    await this.#store.write(puts, []);
  }
}

export class GroupedLists {
  #next = new Map();
  #groups;

  constructor(store, itemsMax) {
    this.store = store;
    this.#groups = new Groups((lists) => {
      const puts = [];
      const removes = [];
      for (const [list, item] of lists.flat()) {
        const at = this.#next.get(list) ?? 0;
        this.#next.set(list, at + 1);
        puts.push([itemKey(list, at), item]);
        if (at >= itemsMax) removes.push(itemKey(list, at - itemsMax));
      }
      return store.write(puts, removes);
    });
  }

  append(pairs) {
    return this.#groups.add(pairs);
  }

  async length(list) {
    const keys = Array.from({ length: this.#next.get(list) ?? 0 }, (_, at) => itemKey(list, at));
    return (await this.store.getMany(keys)).filter((value) => value !== undefined).length;
  }
}

function itemKey(list, at) {
  return `item-${list}-${String(at).padStart(9, '0')}`;
}
