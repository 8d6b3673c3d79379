import { Bytes } from './bytes.ts'
import type { Code } from './code.ts'
import { ValType } from './opcodes.ts'

const wasmHeader = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
const externKind = { func: 0, table: 1, memory: 2, global: 3 } as const

/** Writes one WebAssembly module. Imports must all be declared before the first function. */
export class ModuleWriter {
  private readonly types = new Map<string, number>()
  private readonly typeBytes = new Bytes()
  private readonly imports = new Bytes()
  private importCount = 0
  private importedFunctions = 0
  private readonly functionTypes: number[] = []
  private readonly bodies: (Code | undefined)[] = []
  private readonly exports = new Bytes()
  private exportCount = 0
  private readonly elements: { offset: number; functions: readonly number[] }[] = []
  private tableSize: { initial: number; maximum: number | undefined } | undefined

  /** Index of a function type; equal types share one. */
  type(params: readonly ValType[], results: readonly ValType[]): number {
    const key = `${params.join()}>${results.join()}`
    const known = this.types.get(key)
    if (known !== undefined) return known
    const index = this.types.size
    this.types.set(key, index)
    this.typeBytes.byte(0x60)
    for (const list of [params, results]) {
      this.typeBytes.unsigned(list.length)
      for (const type of list) this.typeBytes.byte(ValType[type])
    }
    return index
  }

  importFunction(module: string, name: string, type: number): number {
    if (this.functionTypes.length > 0) throw new Error('imports come before functions')
    this.import(module, name, externKind.func)
    this.imports.unsigned(type)
    return this.importedFunctions++
  }

  /** Imports a memory that has at least `initial` pages of 64 KiB and may grow to `maximum`. */
  importMemory(module: string, name: string, initial: number, maximum: number, shared: boolean): void {
    this.import(module, name, externKind.memory)
    this.imports.byte(shared ? 3 : 1)
    this.imports.unsigned(initial)
    this.imports.unsigned(maximum)
  }

  importTable(module: string, name: string, initial: number): void {
    this.import(module, name, externKind.table)
    this.imports.append([0x70, 0])
    this.imports.unsigned(initial)
  }

  defineTable(initial: number, maximum?: number): void {
    this.tableSize = { initial, maximum }
  }

  /** Declares a function and returns its index; the body is given by `define`, so that bodies can call each other. */
  declare(type: number): number {
    this.functionTypes.push(type)
    this.bodies.push(undefined)
    return this.importedFunctions + this.functionTypes.length - 1
  }

  define(func: number, body: Code): void {
    this.bodies[func - this.importedFunctions] = body
  }

  export(name: string, kind: keyof typeof externKind, index: number): void {
    this.exports.name(name)
    this.exports.byte(externKind[kind])
    this.exports.unsigned(index)
    this.exportCount++
  }

  /** Puts functions into the table from `offset` on when the module is instantiated. */
  element(offset: number, functions: readonly number[]): void {
    this.elements.push({ offset, functions })
  }

  encode(): Uint8Array {
    const out = new Bytes()
    out.append(wasmHeader)
    const section = (id: number, count: number, write: (bytes: Bytes) => void): void => {
      if (count === 0) return
      const bytes = new Bytes()
      bytes.unsigned(count)
      write(bytes)
      out.byte(id)
      out.unsigned(bytes.length)
      out.append(bytes.view())
    }
    section(1, this.types.size, (b) => b.append(this.typeBytes.view()))
    section(2, this.importCount, (b) => b.append(this.imports.view()))
    section(3, this.functionTypes.length, (b) => this.functionTypes.forEach((type) => b.unsigned(type)))
    section(4, this.tableSize ? 1 : 0, (b) => {
      b.append([0x70, this.tableSize!.maximum === undefined ? 0 : 1])
      b.unsigned(this.tableSize!.initial)
      if (this.tableSize!.maximum !== undefined) b.unsigned(this.tableSize!.maximum)
    })
    section(7, this.exportCount, (b) => b.append(this.exports.view()))
    section(9, this.elements.length, (b) => {
      for (const { offset, functions } of this.elements) {
        b.append([0, 0x41])
        b.signed(offset)
        b.byte(0x0b)
        b.unsigned(functions.length)
        for (const f of functions) b.unsigned(f)
      }
    })
    section(10, this.bodies.length, (b) =>
      this.bodies.forEach((body, i) => {
        if (!body) throw new Error(`function ${i + this.importedFunctions} has no body`)
        b.append(body.encode())
      }),
    )
    return out.view().slice()
  }

  private import(module: string, name: string, kind: number): void {
    this.imports.name(module)
    this.imports.name(name)
    this.imports.byte(kind)
    this.importCount++
  }
}
