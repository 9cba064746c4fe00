// Sensors: a reading that is more than three standard deviations from the last hour's mean of its own sensor.
import {
  avg,
  collect,
  count,
  derive,
  expression,
  filter,
  keyBy,
  rolling,
  stddev,
  topic,
  withWatermark,
} from '../../operators/typed/index.ts';

const readings = topic('readings', { sensor: 'string', at: 'timestamp', celsius: 'double' }, { key: 'sensor' });

const anomalies = readings.pipe(
  withWatermark('at', '30s'),
  keyBy('sensor'),
  rolling({
    mean: avg('celsius').over('1h'),
    deviation: stddev('celsius').over('1h'),
    seen: count().over('1h'),
  }),
  // Null while there are fewer than two readings, and where all were the same: then nothing is told.
  derive({ z: expression('double', '(celsius - mean) / deviation') }),
  filter('seen >= 5 && abs(z) > 3'),
);

const minute = (n: number): number => Date.UTC(2026, 10, 22, 12, n);
const steady = [20.1, 19.9, 20, 20.2, 19.8, 20, 20.1].map((celsius, n) => ({ sensor: 'hall', at: minute(n), celsius }));
const found = await collect(anomalies, [
  ...steady,
  { sensor: 'oven', at: minute(8), celsius: 180 },
  { sensor: 'hall', at: minute(9), celsius: 23 },
  { sensor: 'hall', at: minute(10), celsius: 20 },
]);
for (const { sensor, celsius, mean, z } of found)
  console.log(`${sensor}: ${celsius} °C, usually ${mean?.toFixed(2)}; z = ${z?.toFixed(1)}`);

/* prints
hall: 23 °C, usually 20.01; z = 22.2
*/
