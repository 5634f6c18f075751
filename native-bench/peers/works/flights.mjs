/*
 * (i) The flights job of the demo without kills, as many of its flights as the sizes say: state and position in one durable transaction for
 * every thousand events, written for each contender as its documentation recommends (flights-*.mjs).
 * All have to come to the same sums.
 */
import { makeJob } from '../flights-job.mjs';

export const flights = {
  letter: 'i',
  title: 'The flights job of the demo',
  metrics: [
    { name: 'rate', unit: 'events/s', better: 'more' },
    { name: 'processorUs', unit: 'µs', better: 'less', title: 'processor time of an event' },
  ],
  cases: (sizes) => [
    { name: `${sizes.events.toLocaleString('en')} events`, events: sizes.events, records: true },
  ],
  steps: [
    {
      name: 'run',
      async run({ open, case: { events } }) {
        const job = await makeJob(events);
        const store = await open({});
        const processor = process.cpuUsage();
        const startedAt = performance.now();
        const sums = await store.flights(job);
        const ms = performance.now() - startedAt;
        const { user, system } = process.cpuUsage(processor);
        const agreed = await sums();
        await store.close();
        const processorUs = (user + system) / job.events;
        return { rate: (job.events * 1000) / ms, processorUs, agreed };
      },
    },
  ],
};
