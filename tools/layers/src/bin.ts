import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { mermaid, withGraph } from './graph.ts'
import { readWorkspace } from './workspace.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const document = fileURLToPath(new URL('../../../docs/architecture.md', import.meta.url))
writeFileSync(document, withGraph(readFileSync(document, 'utf8'), mermaid(readWorkspace(root))))
