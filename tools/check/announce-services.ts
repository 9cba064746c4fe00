import { missingServices } from './test-services.ts';

/**
 * Vitest calls this once before a run. Where Kafka or Redis cannot be had, it says in one line what is left out; where they are
 * required (SLUICE_REQUIRE_SERVICES=1, as in CI), it ends the run.
 *
 * @throws where a required service is missing
 */
export function setup(): void {
  const missing = missingServices();
  if (missing.length === 0) return;
  const reasons = missing.map(({ service, reason }) => `${service}: ${reason}`).join('; ');
  if (process.env['SLUICE_REQUIRE_SERVICES'] === '1') {
    throw new Error(
      `every service is required here (SLUICE_REQUIRE_SERVICES=1); ${reasons}. Run \`make setup-cluster\``,
    );
  }
  process.stdout.write(
    `The embedded suite only: tests of what cannot be had here are left out (${reasons}); \`make setup-cluster\` gets it, CI requires it.\n`,
  );
}
