import type { Rule } from '../finding.ts';
import { count, rate } from '../words.ts';

export const exporterDropping: Rule = {
  name: 'exporter-dropping',
  title: 'Traces are dropped',
  about: 'spans are dropped because the collector does not take them',
  look: ({ instance, seconds }) => {
    const dropped = instance.mean('spansDropped');
    if (!(dropped > 0)) return [];
    return [
      {
        severity: 'warning',
        scope: 'instance',
        key: '',
        detail: `${count(dropped * seconds)} spans were dropped in ${Math.round(seconds)} s, ${rate(dropped)}: the collector does not take them. Calls do not notice, but their traces have holes.`,
        advice:
          'Look at the collector and at `telemetry.traces.endpoint`; lower `telemetry.traces.sampleRatio` if it is too slow.',
        figures: { dropped: dropped * seconds },
      },
    ];
  },
};
