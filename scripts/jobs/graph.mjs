import { inRoot } from '../workspace/paths.mjs'
import { runNode } from '../workspace/run.mjs'

/** `npm run graph`: writes the package graph into docs/architecture.md. */
export async function run() {
  return (await runNode(['--import', 'tsx', inRoot('tools', 'layers', 'src', 'bin.ts')])).code
}
