/*
 * Typed reading of the JSON object of a checkpoint record; what is not as it has to be is damage.
 */
import type { CorruptionError } from '../errors.ts';

export class RecordFields {
  readonly body: Readonly<Record<string, unknown>>;
  readonly corrupt: (why: string) => CorruptionError;

  constructor(body: Readonly<Record<string, unknown>>, corrupt: (why: string) => CorruptionError) {
    this.body = body;
    this.corrupt = corrupt;
  }

  count(name: string): number {
    const value = this.body[name];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.corrupt(`has no ${name}`);
  }

  /** A number that need not be whole. */
  amount(name: string): number {
    const value = this.body[name];
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
    throw this.corrupt(`has no ${name}`);
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const found = values.find((value) => value === this.body[name]);
    if (found !== undefined) return found;
    throw this.corrupt(`has no ${name}`);
  }

  text(name: string): string {
    const value = this.body[name];
    if (typeof value === 'string') return value;
    throw this.corrupt(`has no ${name}`);
  }

  texts(name: string): string[] {
    const value = this.body[name];
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw this.corrupt(`has no ${name}`);
  }

  /** Reads a part that may be left out. */
  optional<T>(name: string, read: () => T): T | undefined {
    return this.body[name] === undefined ? undefined : read();
  }

  object(name: string): RecordFields {
    return this.#wrap(name, this.body[name]);
  }

  list(name: string): RecordFields[] {
    const value = this.body[name];
    if (!Array.isArray(value)) throw this.corrupt(`has no ${name}`);
    return value.map((item: unknown) => this.#wrap(name, item));
  }

  #wrap(name: string, value: unknown): RecordFields {
    if (typeof value !== 'object' || value === null) throw this.corrupt(`has no ${name}`);
    return new RecordFields(value as Record<string, unknown>, this.corrupt);
  }
}
