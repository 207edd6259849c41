/** Ties the rule of scaling to the configuration, to what gives more servers, and to those who are told. */
import { randomBytes } from 'node:crypto';
import { parseAddress } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';
import type { Clock } from '../../control/control.ts';
import type { Mesh } from '../../core/mesh.ts';
import type { ScalingRules } from '../../core/scaling.ts';
import {
  CommandProvider,
  type Decided,
  type Provider,
  Scaling,
  type ScalingStatus,
  StandbyProvider,
} from '../../scaling/scaling.ts';
import type { Logger } from '../../telemetry/telemetry.ts';

export interface ScalingPart {
  /** Undefined where the rule is off. */
  status(): ScalingStatus | undefined;
  apply(config: Config): void;
  close(): Promise<void>;
}

export interface ScalingPartOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where new servers register. */
  readonly control: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly suspectsItself: () => boolean;
}

export function startScaling(config: Config, options: ScalingPartOptions): ScalingPart {
  const { mesh, clock, logger, suspectsItself } = options;
  const provider = providerOf(config, options);
  if (provider === undefined) return { status: () => undefined, apply() {}, close: async () => {} };
  const scaling = new Scaling({
    mesh,
    rules: rulesOf(config),
    provider,
    wall: clock.wall,
    suspectsItself,
    onDecision: decided => logDecision(logger, decided),
  });
  return {
    status: () => scaling.status(),
    apply: next => scaling.configure(rulesOf(next)),
    close: () => scaling.close(),
  };
}

function providerOf(config: Config, options: ScalingPartOptions): Provider | undefined {
  const { registry } = options.mesh;
  const { provider, command, commandTimeoutMs, commandAttempts } = config.scaling;
  switch (provider) {
    case 'standby':
      return new StandbyProvider(registry);
    case 'command':
      return new CommandProvider({
        registry,
        settings: { command, timeoutMs: commandTimeoutMs, attempts: commandAttempts },
        control: options.control,
        env: options.env,
        unique: () => randomBytes(4).toString('hex'),
        faultOf: address => {
          const parsed = parseAddress(address);
          return typeof parsed === 'string' ? parsed : undefined;
        },
        log: (message, fields) => options.logger.warn(message, fields),
      });
    default:
      return undefined;
  }
}

function rulesOf({ scaling }: Config): ScalingRules {
  const { threshold, forMs, cooldownMs, max, scaleIn } = scaling;
  return { threshold, forMs, cooldownMs, max, scaleInBelow: scaleIn.below, stableMs: scaleIn.forMs };
}

function logDecision(logger: Logger, { kind, service, because, cause, result, done, server }: Decided): void {
  const fields = { pool: service, ...(because && { because }), ...(server && { server }) };
  const line = `scaling, ${kind} (${cause}): ${result}`;
  if (done) logger.info(line, fields);
  else logger.warn(line, fields);
}
