/**
 * The simulator: simulated calls a second on one core, 10 servers, with the whole core behind every pick.
 * A run is a whole simulation with its warm-up.
 */
import { POLICIES_UNDER_TEST, SCENARIOS, type Scenario } from '../../src/sim/sim.ts';
import { Simulation } from '../../src/sim/world.ts';
import { type BenchCase, BenchSuite } from './harness.ts';

const CALLS = 20_000;
/** Simulated calls a second to reach. */
const TARGET = 300_000;

function simulated(policy: string, scenarioName: string, balancers: number): BenchCase {
  const found = SCENARIOS.find(each => each.name === scenarioName) as Scenario;
  const scenario = { ...found, balancers, calls: CALLS };
  const subject = POLICIES_UNDER_TEST.find(each => each.name === policy);
  if (subject === undefined) throw new Error(`no policy ${policy}`);
  const run = () => new Simulation({ scenario, policy: subject, seed: 1 }).run();
  return {
    name: `${policy}, ${scenarioName}, ${balancers} ${balancers === 1 ? 'balancer' : 'balancers'}`,
    unit: 'call',
    operations: run().callsInAll,
    run,
    ...(policy === 'least-load' ? { target: TARGET } : {}),
  };
}

const suite = new BenchSuite('sim');
await suite.compare('simulated calls', [
  simulated('least-load', 'equal', 1),
  simulated('least-load', 'equal', 16),
  simulated('least-load', 'half-fast', 16),
  simulated('least-request', 'equal', 16),
  simulated('prequal-probes', 'equal', 16),
]);
suite.finish();
