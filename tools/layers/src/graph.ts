import type { WorkspacePackage } from './workspace.ts'

export const begin = '<!-- package graph: made by `npm run graph` -->'
export const end = '<!-- end of package graph -->'

/** The packages and apps with their run-time dependencies; an arrow reads "imports". */
export function mermaid(workspace: WorkspacePackage[]): string {
  const shown = workspace.filter(({ path }) => !path.startsWith('tools/'))
  const short = new Map(shown.map(({ name, path }) => [name, path.replace('packages/', '')]))
  const nodes = shown.map(({ name }) => `  ${id(short.get(name)!)}["${short.get(name)}"]`)
  const edges = shown.flatMap(({ name, dependencies }) =>
    dependencies
      .filter((dependency) => short.has(dependency))
      .sort()
      .map((dependency) => `  ${id(short.get(name)!)} --> ${id(short.get(dependency)!)}`),
  )
  return ['```mermaid', 'flowchart TD', ...nodes, ...edges, '```'].join('\n')
}

const id = (name: string): string => name.replace(/[^a-z0-9]/g, '_')

/** The document with the text between the markers replaced. */
export function withGraph(document: string, graph: string): string {
  const from = document.indexOf(begin)
  const to = document.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the document has no place for the graph: lines '${begin}' and '${end}'`)
  return `${document.slice(0, from + begin.length)}\n\n${graph}\n\n${document.slice(to)}`
}
