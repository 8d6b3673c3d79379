import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface WorkspacePackage {
  /** `packages/x86` */
  path: string
  /** `@guestmode/x86` */
  name: string
  description: string
  /** Names of the workspace packages that it has at run time. */
  dependencies: string[]
}

export function readWorkspace(root: string): WorkspacePackage[] {
  return ['packages', 'apps', 'tools'].flatMap((group) =>
    readdirSync(join(root, group))
      .sort()
      .filter((name) => existsSync(join(root, group, name, 'package.json')))
      .map((name) => read(root, `${group}/${name}`)),
  )
}

function read(root: string, path: string): WorkspacePackage {
  const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as {
    name: string
    description: string
    dependencies?: Record<string, string>
  }
  const dependencies = Object.entries(manifest.dependencies ?? {})
    .filter(([, range]) => range.startsWith('workspace:'))
    .map(([name]) => name)
  return { path, name: manifest.name, description: manifest.description, dependencies }
}
