export * from './state/layout.ts'
export * from './state/cpu-state.ts'
export * from './semantics/builder.ts'
export * from './semantics/registry.ts'
