// Asks promptfoo itself: fixtures on standard input as JSON, a verdict for each on standard output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(join(process.cwd(), 'package.json'));
const { assertions, loadApiProvider } = await import(pathToFileURL(require.resolve('promptfoo')).href);

const weather = {
  name: 'weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
};
const offered = { functions: [weather], tools: [{ type: 'function', function: weather }] };
const provider = await loadApiProvider('openai:chat:none', { options: { config: { apiKey: 'none', ...offered } } });

async function ask(fixture) {
  const { assertion, output, latencyMs, cost, finishReason, logProbs, flagged } = fixture;
  const guardrails = flagged === undefined ? undefined : { flagged };
  const common = {
    test: { vars: {} },
    latencyMs,
    provider,
    providerResponse: { output, cost, finishReason, logProbs, guardrails },
  };
  if (assertion.type === 'assert-set') {
    return assertions.runAssertions({ ...common, test: { vars: {}, assert: [assertion] } });
  }
  return assertions.runAssertion({ ...common, assertion });
}

const said = [];
for (const fixture of JSON.parse(readFileSync(0, 'utf8'))) {
  try {
    const { pass, score, reason } = await ask(fixture);
    said.push({ pass, score, reason });
  } catch (error) {
    said.push({ error: String(error.message ?? error) });
  }
}
process.stdout.write(JSON.stringify(said));
process.exit(0);
