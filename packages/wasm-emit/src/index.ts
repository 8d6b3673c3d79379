export * from './webassembly.ts'
