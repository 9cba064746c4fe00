import pc from 'picocolors';
import Table from 'cli-table3';
import type { Alert, Tally } from './fraud-tally.ts';

/** What the demo shows at one moment. */
export interface DemoSnapshot {
  /** Since the live part began. */
  readonly elapsedSeconds: number;
  readonly eventTimeMs: number;
  readonly txPerSecond: number;
  readonly read: number;
  readonly predictions: number;
  readonly deadLettered: number;
  readonly late: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** Predictions that ClickHouse has taken. */
  readonly clickHouseRows: number;
  readonly tally: Tally;
}

/** Reasons of an alert that fit beside it. */
const shownReasons = 2;

const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const latency = (valueMs: number | null): string => (valueMs === null ? '-' : `${valueMs.toFixed(1)} ms`);
const share = (part: number, whole: number): string => (whole === 0 ? '-' : `${((100 * part) / whole).toFixed(1)} %`);
const instant = (timeMs: number): string =>
  Number.isFinite(timeMs) ? new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ') : '-';

/** The snapshot as a screenful of text: figures, fraud against truth, and the latest alerts with the features behind them. */
export function renderScreen(snapshot: DemoSnapshot): string {
  const { tally } = snapshot;
  const flagged = tally.caught + tally.falseAlarms;
  return [
    `${pc.bold('sluice demo')}   ${snapshot.elapsedSeconds.toFixed(0)} s live   event time ${instant(snapshot.eventTimeMs)} UTC`,
    '',
    `  rate       ${pc.bold(count(snapshot.txPerSecond))} tx/s      latency, record in to prediction readable:  p50 ${pc.bold(latency(snapshot.p50Ms))}   p99 ${pc.bold(latency(snapshot.p99Ms))}`,
    `  records    ${count(snapshot.read)} read, ${count(snapshot.predictions)} predictions, ${snapshot.late} late, ${snapshot.deadLettered} dead-lettered, ${count(snapshot.clickHouseRows)} in ClickHouse`,
    `  fraud      ${pc.green(`${tally.caught} caught`)} of ${tally.frauds} (${share(tally.caught, tally.frauds)}), ` +
      `${share(tally.caughtAmount, tally.fraudAmount)} of the amount; ${tally.falseAlarms} false alarms (precision ${share(tally.caught, flagged)})`,
    '',
    renderAlerts(tally.alerts),
  ].join('\n');
}

/** One line, for output that is not a terminal. */
export function renderLine(snapshot: DemoSnapshot): string {
  const { tally } = snapshot;
  return (
    `${snapshot.elapsedSeconds.toFixed(0).padStart(4)} s  ${count(snapshot.txPerSecond)} tx/s  p50 ${latency(snapshot.p50Ms)}  ` +
    `p99 ${latency(snapshot.p99Ms)}  ${count(snapshot.predictions)} predictions  fraud ${tally.caught} of ${tally.frauds} caught, ` +
    `${tally.falseAlarms} false alarms`
  );
}

function renderAlerts(alerts: readonly Alert[]): string {
  if (alerts.length === 0) return '  no transaction flagged yet';
  const names = Object.keys(alerts[0]?.features ?? {});
  const table = new Table({
    head: ['flagged transaction', 'amount', 'probability', ...names, 'reasons', 'truth'],
    style: pc.isColorSupported ? { head: ['cyan'], compact: true } : { head: [], border: [], compact: true },
  });
  for (const alert of alerts.toReversed()) {
    table.push([
      alert.transactionId,
      alert.amount.toFixed(2),
      alert.probability.toFixed(3),
      ...names.map((name) => number(alert.features[name] ?? null)),
      alert.reasons.slice(0, shownReasons).join(', '),
      alert.isFraud ? pc.red('fraud') : pc.dim('legitimate'),
    ]);
  }
  return table.toString();
}

function number(value: number | null): string {
  if (value === null) return '-';
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
