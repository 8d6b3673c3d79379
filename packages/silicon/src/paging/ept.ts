import {
  EPT_A,
  EPT_D,
  EPT_PS,
  EPT_R,
  EPT_RWX,
  EPT_VIOLATION_PERMISSIONS_SHIFT,
  EPT_W,
  EPTP_ACCESSED_DIRTY,
  MEMORY_TYPE_UC,
  MEMORY_TYPE_WB,
  MEMORY_TYPE_WC,
  MEMORY_TYPE_WP,
  MEMORY_TYPE_WT,
} from '@guestmode/x86'
import type { MachineMemory } from '../machine/memory.ts'
import type { TranslationFault } from './fault.ts'

const cacheBits = 12
const cacheMask = (1 << cacheBits) - 1
const noFrame = 0xffff_ffff
const high = 0x1_0000_0000

const memoryTypes =
  (1 << MEMORY_TYPE_UC) | (1 << MEMORY_TYPE_WC) | (1 << MEMORY_TYPE_WT) | (1 << MEMORY_TYPE_WP) | (1 << MEMORY_TYPE_WB)

/** Reserved address bits of a leaf, by level: below the page's size. */
const leafReserved = [0, 0, 0x001f_f000, 0x3fff_f000]

/**
 * Extended page tables: guest-physical to host physical. [SDM3 29.3 "The Extended Page Table Mechanism (EPT)"]
 * Translations are cached by 4 KiB frame until `flush`.
 */
export class ExtendedPageTables {
  private readonly mem: MachineMemory
  private readonly fault: TranslationFault
  private readonly reservedHigh: number
  private readonly tags = new Uint32Array(1 << cacheBits).fill(noFrame)
  private readonly frames = new Uint32Array(1 << cacheBits)
  private readonly rights = new Uint8Array(1 << cacheBits)
  private readonly at = new Int32Array(5)
  private root = 0
  /** EPT accessed and dirty flags are enabled: walks of guest tables then count as writes. */
  accessedDirty = false
  /** Rights of the last translation. EPT_W is withheld until the dirty flag is set, where there is one. */
  permissions = 0

  constructor(mem: MachineMemory, fault: TranslationFault, physicalAddressBits: number) {
    this.mem = mem
    this.fault = fault
    this.reservedHigh = 0xf_ffff & ~((1 << (physicalAddressBits - 32)) - 1)
  }

  load(eptp: number): void {
    this.root = Math.floor(eptp / 4096) * 4096
    this.accessedDirty = (eptp & EPTP_ACCESSED_DIRTY) !== 0
    this.flush()
  }

  flush(): void {
    this.tags.fill(noFrame)
  }

  /**
   * `want`: EPT_R, EPT_W, EPT_X, all of which must be allowed. `origin`: bits 8:7 of the qualification of a violation.
   * Host physical address, or -1 with `fault` filled in.
   */
  translate(gpa: number, want: number, origin: number): number {
    const frame = (gpa / 4096) >>> 0
    const slot = frame & cacheMask
    if (this.tags[slot] === frame && (this.rights[slot]! & want) === want) {
      this.permissions = this.rights[slot]!
      return this.frames[slot]! * 4096 + (gpa & 0xfff)
    }
    return this.walk(gpa, want, origin)
  }

  private walk(gpa: number, want: number, origin: number): number {
    const { mem, at } = this
    const { i32, physBase, physSize } = mem
    const gpaHigh = (gpa / high) >>> 0
    let table = this.root
    let allowed = EPT_RWX
    let level = 4
    for (;;) {
      const index =
        level === 4
          ? (gpaHigh >>> 7) & 0x1ff
          : level === 3
            ? ((gpaHigh << 2) | ((gpa >>> 0) >>> 30)) & 0x1ff
            : level === 2
              ? (gpa >>> 21) & 0x1ff
              : (gpa >>> 12) & 0x1ff
      const entry = table + index * 8
      const word = entry < physSize ? (physBase + entry) / 4 : -1
      const low = word < 0 ? -1 : i32[word]!
      const top = word < 0 ? -1 : i32[word + 1]!
      at[level] = word
      allowed &= low
      if ((low & EPT_RWX) === 0) return this.violation(gpa, want, 0, origin)
      if ((low & (EPT_R | EPT_W)) === EPT_W || (top & this.reservedHigh) !== 0) return this.misconfiguration(gpa)
      const address = (top & 0xf_ffff) * high + ((low & 0xffff_f000) >>> 0)
      if (level === 1 || (level < 4 && (low & EPT_PS) !== 0)) {
        if ((low & leafReserved[level]!) !== 0 || ((memoryTypes >>> ((low >>> 3) & 7)) & 1) === 0)
          return this.misconfiguration(gpa)
        if ((allowed & want) !== want) return this.violation(gpa, want, allowed, origin)
        const offset = level === 1 ? 0 : level === 2 ? gpa & 0x001f_f000 : gpa & 0x3fff_f000
        return this.finish(gpa, address + offset, want, allowed, level, low)
      }
      if ((low & (level === 4 ? 0xf8 : 0x78)) !== 0) return this.misconfiguration(gpa)
      table = address
      level--
    }
  }

  private finish(gpa: number, page: number, want: number, allowed: number, leaf: number, low: number): number {
    let rights = allowed
    if (this.accessedDirty) {
      const { i32 } = this.mem
      const write = (want & EPT_W) !== 0
      for (let level = 4; level >= leaf; level--) {
        const bits = level === leaf && write ? EPT_A | EPT_D : EPT_A
        const word = this.at[level]!
        if ((i32[word]! & bits) !== bits) Atomics.or(i32, word, bits)
      }
      if (!write && (low & EPT_D) === 0) rights &= ~EPT_W
    }
    const frame = (gpa / 4096) >>> 0
    const slot = frame & cacheMask
    this.tags[slot] = frame
    this.frames[slot] = page / 4096
    this.rights[slot] = rights
    this.permissions = rights
    return page + (gpa & 0xfff)
  }

  private violation(gpa: number, want: number, allowed: number, origin: number): -1 {
    const { fault } = this
    fault.kind = 'ept-violation'
    fault.gpa = gpa
    fault.qualification = want | (allowed << EPT_VIOLATION_PERMISSIONS_SHIFT) | origin
    return -1
  }

  private misconfiguration(gpa: number): -1 {
    const { fault } = this
    fault.kind = 'ept-misconfig'
    fault.gpa = gpa
    fault.qualification = 0
    return -1
  }
}
