/*
 * Refusals of a savepoint, checkpoint, state or operator that is not there: the message names those that are, so that
 * whoever reads it on a terminal can choose; `details` has all of them.
 */
import { NotFoundError } from '../errors.ts';
import { holderOperator } from '../state/operator.ts';

/** More are counted. */
const namedMax = 8;

/** Where else it is, or may be. */
interface Elsewhere {
  /** A timeline that has one. */
  readonly timeline?: number | undefined;
  /** Ids of checkpoints that cannot be read. */
  readonly unreadable?: readonly number[];
}

/** SAVEPOINT_NOT_FOUND, with the names that there are, oldest first. */
export function savepointNotFound(
  name: string,
  savepoints: readonly string[],
  elsewhere: Elsewhere = {},
): NotFoundError {
  const message = `there is no savepoint ${name}${hint(savepoints, elsewhere)}`;
  return new NotFoundError('SAVEPOINT_NOT_FOUND', message, { name, savepoints, ...elsewhere });
}

/** CHECKPOINT_NOT_FOUND, with the ids that there are, oldest first. */
export function checkpointNotFound(
  id: number,
  checkpoints: readonly number[],
  elsewhere: Elsewhere = {},
): NotFoundError {
  const message = `there is no checkpoint ${id}${hint(checkpoints, elsewhere)}`;
  return new NotFoundError('CHECKPOINT_NOT_FOUND', message, { id, checkpoints, ...elsewhere });
}

/** What names a state. */
interface StateName {
  readonly operator: string;
  readonly state: string;
}

/**
 * STATE_NOT_FOUND, with the states that there are: those of the operator, where that is there, else all.
 * One of the two names can be left open.
 */
export function stateNotFound(
  operator: string | undefined,
  state: string | undefined,
  definitions: readonly StateName[],
): NotFoundError {
  const known = definitions.filter((each) => each.operator !== holderOperator);
  const ofOperator = known.filter((each) => each.operator === operator);
  const near = ofOperator.length > 0 ? ofOperator : known;
  const states = near.map((each) => `${each.operator}.${each.state}`).toSorted();
  const name = [operator, state].filter((part) => part !== undefined).join('.');
  const message = `store has no such state: ${name}, ${listedFirst(states)}`;
  return new NotFoundError('STATE_NOT_FOUND', message, { operator, state, states });
}

/** STATE_NOT_FOUND, with the operators that there are. */
export function operatorNotFound(operator: string, known: readonly string[]): NotFoundError {
  const message = `there is no operator ${operator} at that moment, ${listedFirst(known)}`;
  return new NotFoundError('STATE_NOT_FOUND', message, { operator, known });
}

/** Where it is, if it is somewhere; else what is here. */
function hint(all: readonly (string | number)[], { timeline }: Elsewhere): string {
  if (timeline === undefined) return `, ${listed(all)}`;
  return ` here; timeline ${timeline} has one, name it to go there`;
}

/** The beginning of a list that has no newest. */
function listedFirst(all: readonly string[]): string {
  if (all.length === 0) return 'there are none';
  const others = all.length - namedMax;
  const named = `there ${all.length === 1 ? 'is' : 'are'} ${all.slice(0, namedMax).join(', ')}`;
  return others > 0 ? `${named} and ${others} more` : named;
}

/** The newest of a list, newest first. */
function listed(all: readonly (string | number)[]): string {
  if (all.length === 0) return 'there are none';
  const newest = all.slice(-namedMax).toReversed().join(', ');
  const others = all.length - namedMax;
  const named = `there ${all.length === 1 ? 'is' : 'are'} ${newest}`;
  return others > 0 ? `${named} and ${others} older` : named;
}
