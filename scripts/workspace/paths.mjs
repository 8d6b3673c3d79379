import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const inRoot = (...parts) => join(root, ...parts)
export const manifest = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'))

/** A failure whose message is all that the user needs: shown without a stack trace. */
export class WorkspaceError extends Error {
  name = 'WorkspaceError'
}
