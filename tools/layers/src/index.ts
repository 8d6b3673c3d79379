export { begin, end, mermaid, withGraph } from './graph.ts'
export { readWorkspace } from './workspace.ts'
export type { WorkspacePackage } from './workspace.ts'
