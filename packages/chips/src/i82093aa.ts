/**
 * Intel 82093AA I/O APIC.
 *
 * Emulated: 24 redirection entries, edge and level triggering, mask, remote IRR and EOI broadcast, arbitration and identification
 * registers.
 * Not emulated: input polarity (an input is asserted or not), the serial APIC bus (messages are delivered at once, delivery
 * status reads idle).
 * Making an entry edge-triggered clears its remote IRR, as every implementation since has done; Linux recovers a stuck entry that
 * way.
 *
 * [82093AA datasheet 290566]
 */
import type { ApicMessage, DeliveryMode } from './apic-message.ts'

export const IOAPIC_PINS = 24

const VERSION = 0x11
const DELIVERY_STATUS = 1n << 12n
const REMOTE_IRR = 1n << 14n
const LEVEL = 1n << 15n
const MASKED = 1n << 16n
/** Reserved bits 17..55 read as zero. */
const WRITABLE = (0xffn << 56n) | 0x1_afffn

/** Linux's `struct kvm_ioapic_state` without the base address, which is the board's. */
export interface I82093AAState {
  version: 1
  ioregsel: number
  id: number
  /** Asserted inputs. */
  irr: number
  redirtbl: bigint[]
}

export interface I82093AAOptions {
  deliver: (message: ApicMessage) => void
  /** A level-triggered entry's interrupt was acknowledged. */
  eoi?: (pin: number) => void
}

export class I82093AA {
  #s: I82093AAState = powerOn()
  readonly #options: I82093AAOptions

  constructor(options: I82093AAOptions) {
    this.#options = options
  }

  reset(): void {
    this.#s = powerOn()
  }

  setIrq(pin: number, level: boolean): void {
    const s = this.#s
    const bit = 1 << pin
    const rose = level && !(s.irr & bit)
    s.irr = level ? s.irr | bit : s.irr & ~bit
    if (!level) return
    const entry = this.#entry(pin)
    // An edge on a masked pin is lost. [82093AA "I/O Redirection Table Registers", Interrupt Mask]
    if (entry & LEVEL || rose) this.#service(pin)
  }

  /** Offset 0: the index register, 10h: the data window; the rest of the page reads as zero. */
  read(offset: number): number {
    if (offset === 0x00) return this.#s.ioregsel
    return offset === 0x10 ? this.#readRegister(this.#s.ioregsel) : 0
  }

  write(offset: number, value: number): void {
    if (offset === 0x00) this.#s.ioregsel = value & 0xff
    else if (offset === 0x10) this.#writeRegister(this.#s.ioregsel, value >>> 0)
  }

  /** EOI message of a local APIC. */
  eoi(vector: number): void {
    for (let pin = 0; pin < IOAPIC_PINS; pin++) {
      const entry = this.#entry(pin)
      if (!(entry & REMOTE_IRR) || Number(entry & 0xffn) !== vector) continue
      this.#s.redirtbl[pin] = entry & ~REMOTE_IRR
      this.#options.eoi?.(pin)
      if (this.#s.irr & (1 << pin)) this.#service(pin)
    }
  }

  /** True for a vector that some level-triggered entry uses: its EOI must reach this chip. */
  handlesVector(vector: number): boolean {
    return this.#s.redirtbl.some((entry) => (entry & LEVEL) !== 0n && Number(entry & 0xffn) === vector)
  }

  save(): I82093AAState {
    return { ...this.#s, redirtbl: [...this.#s.redirtbl] }
  }

  load(state: I82093AAState): void {
    this.#s = { ...state, redirtbl: [...state.redirtbl] }
  }

  #readRegister(index: number): number {
    switch (index) {
      case 0x00:
      case 0x02:
        return (this.#s.id & 15) << 24
      case 0x01:
        return ((IOAPIC_PINS - 1) << 16) | VERSION
    }
    const pin = (index - 0x10) >> 1
    if (pin < 0 || pin >= IOAPIC_PINS) return 0
    return Number(BigInt.asUintN(32, index & 1 ? this.#entry(pin) >> 32n : this.#entry(pin)))
  }

  #writeRegister(index: number, value: number): void {
    if (index === 0x00) this.#s.id = (value >>> 24) & 15
    const pin = (index - 0x10) >> 1
    if (pin < 0 || pin >= IOAPIC_PINS) return
    const old = this.#entry(pin)
    const merged = index & 1 ? (old & 0xffff_ffffn) | (BigInt(value) << 32n) : (old & ~0xffff_ffffn) | BigInt(value)
    let entry = (merged & WRITABLE & ~DELIVERY_STATUS) | (old & REMOTE_IRR)
    if (!(entry & LEVEL)) entry &= ~REMOTE_IRR
    this.#s.redirtbl[pin] = entry
    if (entry & LEVEL && this.#s.irr & (1 << pin)) this.#service(pin)
  }

  #service(pin: number): void {
    const entry = this.#entry(pin)
    if (entry & (MASKED | REMOTE_IRR)) return
    const level = (entry & LEVEL) !== 0n
    const deliveryMode = Number((entry >> 8n) & 7n) as DeliveryMode
    if (level && deliveryMode <= 1) this.#s.redirtbl[pin] = entry | REMOTE_IRR
    this.#options.deliver({
      vector: Number(entry & 0xffn),
      deliveryMode,
      destMode: (entry >> 11n) & 1n ? 'logical' : 'physical',
      dest: Number(entry >> 56n),
      trigger: level ? 'level' : 'edge',
    })
  }

  #entry(pin: number): bigint {
    return this.#s.redirtbl[pin] ?? MASKED
  }
}

function powerOn(): I82093AAState {
  return { version: 1, ioregsel: 0, id: 0, irr: 0, redirtbl: Array.from({ length: IOAPIC_PINS }, () => MASKED) }
}
