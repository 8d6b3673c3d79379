/**
 * The part of the WebAssembly JavaScript interface that we use, typed here because neutral packages compile without DOM
 * and Node types, and the ECMAScript library does not declare it.
 */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer
  /** Grows by 64 KiB pages; returns the previous size in pages. Throws RangeError when it can't. */
  grow(pages: number): number
}
export interface WasmTable {
  readonly length: number
  get(index: number): unknown
  set(index: number, value: unknown): void
  grow(delta: number): number
}
export interface WasmModule {
  readonly wasmModuleBrand?: never
}
export interface WasmInstance {
  readonly exports: Record<string, unknown>
}
export type WasmImports = Record<string, Record<string, unknown>>

interface WebAssemblyNamespace {
  Memory: new (descriptor: { initial: number; maximum?: number; shared?: boolean }) => WasmMemory
  Table: new (descriptor: { element: 'anyfunc'; initial: number; maximum?: number }) => WasmTable
  Module: new (bytes: Uint8Array) => WasmModule
  Instance: new (module: WasmModule, imports?: WasmImports) => WasmInstance
  validate(bytes: Uint8Array): boolean
}

export const WebAssembly: WebAssemblyNamespace = (globalThis as unknown as { WebAssembly: WebAssemblyNamespace }).WebAssembly
