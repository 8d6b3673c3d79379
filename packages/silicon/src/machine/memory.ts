import { WebAssembly, type WasmMemory } from '@guestmode/wasm-emit'

const wasmPage = 65536

/**
 * The linear memory of one machine: a private part of the processors, then host physical memory. Host physical address
 * `hpa` is at offset `physBase + hpa`. Growth replaces the views: take them from here at each use, keep none.
 */
export class MachineMemory {
  readonly memory: WasmMemory
  readonly physBase: number
  readonly shared: boolean
  u8!: Uint8Array
  u16!: Uint16Array
  u32!: Uint32Array
  i32!: Int32Array
  u64!: BigUint64Array
  view!: DataView
  /** Bytes of host physical memory. */
  physSize = 0

  /** `privateBytes`: size of the processors' part. Throws RangeError when the host has no room. */
  constructor(privateBytes: number, physBytes: number, options: { shared?: boolean } = {}) {
    this.physBase = Math.ceil(privateBytes / wasmPage) * wasmPage
    this.shared = options.shared ?? false
    const pages = this.physBase / wasmPage + Math.ceil(physBytes / wasmPage)
    this.memory = new WebAssembly.Memory(
      options.shared ? { initial: pages, maximum: wasmPage, shared: true } : { initial: pages, maximum: wasmPage },
    )
    this.refresh()
  }

  /** Adds physical memory; returns the host physical address of its first byte. Throws RangeError when it can't. */
  grow(bytes: number): number {
    const at = this.physSize
    this.memory.grow(Math.ceil(bytes / wasmPage))
    this.refresh()
    return at
  }

  private refresh(): void {
    const buffer = this.memory.buffer as ArrayBuffer
    this.u8 = new Uint8Array(buffer)
    this.u16 = new Uint16Array(buffer)
    this.u32 = new Uint32Array(buffer)
    this.i32 = new Int32Array(buffer)
    this.u64 = new BigUint64Array(buffer)
    this.view = new DataView(buffer)
    this.physSize = buffer.byteLength - this.physBase
  }
}
