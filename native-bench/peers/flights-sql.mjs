/*
 * The flights job in SQL: a table a state, upserts (https://www.sqlite.org/lang_upsert.html), prepared
 * statements, one transaction with the position for every thousand events. The ten worst delays
 * of a route are one row, with their number and the least of them beside, so that most flights only
 * look. Commits are synchronous: none is in flight while the next thousand are worked on.
 */
import { setImmediate as turn } from 'node:timers/promises';

const tables = `
  CREATE TABLE stats (route TEXT PRIMARY KEY, flights INTEGER, delaySum INTEGER,
    delaySquareSum INTEGER, delayMin INTEGER, delayMax INTEGER, distanceSum INTEGER) WITHOUT ROWID;
  CREATE TABLE worst (route TEXT PRIMARY KEY, n INTEGER, least INTEGER, list TEXT) WITHOUT ROWID;
  CREATE TABLE days (route TEXT, day TEXT, flights INTEGER, delaySum INTEGER,
    PRIMARY KEY (route, day)) WITHOUT ROWID;
  CREATE TABLE departures (airport TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
  CREATE TABLE recent (airport TEXT, n INTEGER, at INTEGER, destination TEXT, delay INTEGER,
    PRIMARY KEY (airport, n)) WITHOUT ROWID;
  CREATE TABLE positions (source TEXT PRIMARY KEY, row INTEGER) WITHOUT ROWID;
`;

const addStats = `
  INSERT INTO stats VALUES (?, 1, ?, ?, ?, ?, ?) ON CONFLICT (route) DO UPDATE SET
    flights = flights + 1, delaySum = delaySum + excluded.delaySum,
    delaySquareSum = delaySquareSum + excluded.delaySquareSum,
    delayMin = min(delayMin, excluded.delayMin), delayMax = max(delayMax, excluded.delayMax),
    distanceSum = distanceSum + excluded.distanceSum`;

export async function sqlFlights(job, database, transaction) {
  database.exec(tables);
  const run = {
    stats: database.prepare(addStats),
    day: database.prepare(`INSERT INTO days VALUES (?, ?, 1, ?) ON CONFLICT (route, day) DO UPDATE SET
      flights = flights + 1, delaySum = delaySum + excluded.delaySum`),
    departures: database.prepare(`INSERT INTO departures VALUES (?, 1)
      ON CONFLICT (airport) DO UPDATE SET n = n + 1 RETURNING n`),
    recent: database.prepare('INSERT INTO recent VALUES (?, ?, ?, ?, ?)'),
    forget: database.prepare('DELETE FROM recent WHERE airport = ? AND n = ?'),
    least: database.prepare('SELECT n, least FROM worst WHERE route = ?'),
    list: database.prepare('SELECT list FROM worst WHERE route = ?'),
    worst: database.prepare('INSERT OR REPLACE INTO worst VALUES (?, ?, ?, ?)'),
    position: database.prepare("INSERT OR REPLACE INTO positions VALUES ('flights', ?)"),
  };
  for (const batch of job.batches) {
    for (const [from, to] of job.commits(batch)) {
      transaction(() => {
        for (let row = from; row < to; row++) addFlight(job, run, batch, row - batch.start);
        run.position.run(to);
      });
      await turn();
    }
  }
  return () => {
    const sums = 'SELECT count(*) routes, sum(flights) flights, sum(delaySum) delaySum FROM stats';
    const position = database.prepare('SELECT row FROM positions').get().row;
    return { ...database.prepare(sums).get(), position };
  };
}

function addFlight(job, run, batch, index) {
  const at = batch.dates[index];
  const delay = batch.delays[index];
  const origin = batch.origins[index];
  const destination = batch.destinations[index];
  const route = job.routeOf(origin, destination);
  run.stats.run(route, delay, delay * delay, delay, delay, batch.distances[index]);
  const known = run.least.get(route);
  if (known === undefined || known.n < job.worstMax || delay > known.least) {
    const before = known === undefined ? undefined : JSON.parse(run.list.get(route).list);
    const list = job.insertDelay(before, delay, at);
    run.worst.run(route, list.length, list.at(-1).delay, JSON.stringify(list));
  }
  run.day.run(route, job.dayOf(at), delay);
  const { n } = run.departures.get(origin);
  run.recent.run(origin, n, at, destination, delay);
  if (n > job.recentMax) run.forget.run(origin, n - job.recentMax);
}
