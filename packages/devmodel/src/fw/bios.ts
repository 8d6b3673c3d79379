/**
 * Real-mode BIOS services, as far as a kernel's setup code and a boot sector ask for them. Each interrupt vector leads to a stub
 * `out PORT, al; iret`; the port's device serves the call on the registers of the stopped vCPU.
 *
 * Served: INT 10h teletype and mode queries, 11h, 12h, 15h memory maps and A20, 16h (no key ever), 1Ah time.
 * Refused as a BIOS without the device would: INT 13h (no disks), APM, EDD.
 * [Ralf Brown's Interrupt List] [ACPI 6.5 15.1 "INT 15H, E820H - Query System Address Map"]
 */
import type { KvmRegs, KvmVcpu } from '@guestmode/kvm-abi'
import type { PortDevice } from '../bus/port-bus.ts'
import type { GuestMemory } from '../machine/guest-memory.ts'
import { BDA, BIOS_STUBS, EBDA, IVT, KIB, MIB, PORT_BIOS_TRAP } from '../machine/layout.ts'
import { ConfigError } from '../errors.ts'
import type { BootEntry, BootSectorBoot } from './boot-config.ts'
import { enterRealMode } from './cpu-state.ts'
import { e820Map } from './e820.ts'
import { place } from './place.ts'

/** Served vectors, in the order of their trap ports. */
const SERVICES = [0x10, 0x11, 0x12, 0x13, 0x15, 0x16, 0x1a] as const
export const BIOS_TRAP_PORTS = SERVICES.length

const STUB_SIZE = 4
const IRET = 0xcf
const OUT_IMM8_AL = 0xe6

const CF = 1
const ZF = 0x40

export interface BiosOptions {
  vcpu: KvmVcpu
  memory: GuestMemory
  unixTime: () => number
  teletype: (byte: number) => void
}

/** Vectors, stubs and the data area. */
export function installBios(memory: GuestMemory): void {
  const stubs = new Uint8Array(STUB_SIZE * (SERVICES.length + 1))
  stubs[0] = IRET
  SERVICES.forEach((_vector, i) => stubs.set([OUT_IMM8_AL, PORT_BIOS_TRAP + i, IRET], STUB_SIZE * (i + 1)))
  memory.write(BIOS_STUBS, stubs)
  const vectors = new DataView(new ArrayBuffer(0x400))
  for (let vector = 0; vector < 256; vector++) {
    const stub = BIOS_STUBS + STUB_SIZE * ((SERVICES as readonly number[]).indexOf(vector) + 1)
    vectors.setUint16(4 * vector, stub & 0xffff, true)
    vectors.setUint16(4 * vector + 2, (stub >> 4) & 0xf000, true)
  }
  memory.write(IVT, new Uint8Array(vectors.buffer))
  memory.writeU16(BDA + 0x13, EBDA / KIB)
}

export function loadBootSector(memory: GuestMemory, boot: BootSectorBoot): BootEntry {
  if (boot.image.length > EBDA - 0x7c00) throw new ConfigError('the boot image does not fit in conventional memory')
  place(memory, 'the boot image', 0x7c00, boot.image)
  return { needsBios: true, start: (vcpu) => enterRealMode(vcpu, { cs: 0, data: 0 }, { rip: 0x7c00n, rsp: 0x7c00n, rdx: 0x80n }) }
}

export class BiosTraps implements PortDevice {
  readonly width = 1
  readonly #o: BiosOptions

  constructor(options: BiosOptions) {
    this.#o = options
  }

  read(): number {
    return 0xff
  }

  write(offset: number): void {
    const vector = SERVICES[offset]
    if (vector === undefined) return
    const regs = this.#o.vcpu.getRegs()
    const sregs = this.#o.vcpu.getSregs()
    const call = new BiosCall(regs, Number(sregs.es.base))
    this.#serve(vector, call)
    // The flags that the caller gets back are on the stack: IP, CS, FLAGS.
    const at = Number(sregs.ss.base) + Number(regs.rsp & 0xffffn) + 4
    const flags = this.#o.memory.readU16(at) ?? 0
    this.#o.memory.writeU16(at, (flags & ~(CF | ZF)) | (call.carry ? CF : 0) | (call.zero ? ZF : 0))
    this.#o.vcpu.setRegs(call.regs)
  }

  #serve(vector: number, call: BiosCall): void {
    switch (vector) {
      case 0x10:
        this.#video(call)
        break
      case 0x11:
        call.ax = 0x0006
        break
      case 0x12:
        call.ax = EBDA / KIB
        break
      case 0x13:
        call.fail(0x01)
        break
      case 0x15:
        this.#system(call)
        break
      case 0x16:
        if ((call.ah & 0xef) === 1) call.zero = true
        else if (call.ah !== 3) call.ax = 0
        break
      case 0x1a:
        this.#time(call)
        break
    }
  }

  #video(call: BiosCall): void {
    if (call.ah === 0x0e) this.#o.teletype(call.al)
    else if (call.ah === 0x0f) {
      call.ax = 0x5003
      call.bx &= 0xff
    } else if (call.ah === 0x03) {
      call.cx = 0x0607
      call.dx = 0
    }
  }

  #system(call: BiosCall): void {
    const { memory } = this.#o
    const above1M = memory.lowSize - MIB
    if (call.ax === 0xe820) this.#e820(call)
    else if (call.ax === 0xe801) {
      call.ax = call.cx = Math.min(above1M, 15 * MIB) / KIB
      call.bx = call.dx = Math.max(0, Math.floor((memory.lowSize - 16 * MIB) / (64 * KIB)))
    } else if (call.ah === 0x88) call.ax = Math.min(above1M / KIB, 0xffff)
    else if (call.ax === 0x2400 || call.ax === 0x2401) call.ax &= 0xff
    else if (call.ax === 0x2402) call.ax = 0x0001
    else if (call.ax === 0x2403) {
      call.ax = 0
      call.bx = 3
    } else call.fail(0x86)
  }

  #e820(call: BiosCall): void {
    const map = e820Map(this.#o.memory)
    const index = call.ebx
    const entry = map[index]
    if (call.edx !== 0x534d_4150 || call.ecx < 20 || !entry) {
      call.fail(0x86)
      return
    }
    const bytes = new DataView(new ArrayBuffer(20))
    bytes.setBigUint64(0, BigInt(entry.base), true)
    bytes.setBigUint64(8, BigInt(entry.size), true)
    bytes.setUint32(16, entry.type, true)
    this.#o.memory.write(call.esBase + call.di, new Uint8Array(bytes.buffer))
    call.eax = 0x534d_4150
    call.ecx = 20
    call.ebx = index + 1 < map.length ? index + 1 : 0
  }

  #time(call: BiosCall): void {
    const now = this.#o.unixTime()
    const date = new Date(now * 1000)
    const bcd = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10)
    if (call.ah === 0) {
      const ticks = Math.floor(((now % 86400) * 1193182) / 65536)
      call.cx = ticks >> 16
      call.dx = ticks & 0xffff
      call.ax = 0
    } else if (call.ah === 2) {
      call.cx = (bcd(date.getUTCHours()) << 8) | bcd(date.getUTCMinutes())
      call.dx = bcd(date.getUTCSeconds()) << 8
    } else if (call.ah === 4) {
      call.cx = (bcd(Math.floor(date.getUTCFullYear() / 100)) << 8) | bcd(date.getUTCFullYear() % 100)
      call.dx = (bcd(date.getUTCMonth() + 1) << 8) | bcd(date.getUTCDate())
    } else call.fail(0x01)
  }
}

/** Registers of a caller, by their 16-bit and 32-bit names. */
class BiosCall {
  readonly regs: KvmRegs
  readonly esBase: number
  carry = false
  zero = false

  constructor(regs: KvmRegs, esBase: number) {
    this.regs = regs
    this.esBase = esBase
  }

  fail(ah: number): void {
    this.carry = true
    this.ax = (ah << 8) | this.al
  }

  get ah(): number {
    return this.ax >> 8
  }
  get al(): number {
    return this.ax & 0xff
  }
  get di(): number {
    return Number(this.regs.rdi & 0xffffn)
  }
  get ax(): number {
    return Number(this.regs.rax & 0xffffn)
  }
  set ax(value: number) {
    this.regs.rax = low16(this.regs.rax, value)
  }
  get bx(): number {
    return Number(this.regs.rbx & 0xffffn)
  }
  set bx(value: number) {
    this.regs.rbx = low16(this.regs.rbx, value)
  }
  get cx(): number {
    return Number(this.regs.rcx & 0xffffn)
  }
  set cx(value: number) {
    this.regs.rcx = low16(this.regs.rcx, value)
  }
  get dx(): number {
    return Number(this.regs.rdx & 0xffffn)
  }
  set dx(value: number) {
    this.regs.rdx = low16(this.regs.rdx, value)
  }
  set eax(value: number) {
    this.regs.rax = BigInt(value)
  }
  get ebx(): number {
    return Number(this.regs.rbx & 0xffff_ffffn)
  }
  set ebx(value: number) {
    this.regs.rbx = BigInt(value)
  }
  get ecx(): number {
    return Number(this.regs.rcx & 0xffff_ffffn)
  }
  set ecx(value: number) {
    this.regs.rcx = BigInt(value)
  }
  get edx(): number {
    return Number(this.regs.rdx & 0xffff_ffffn)
  }
}

function low16(register: bigint, value: number): bigint {
  return (register & ~0xffffn) | BigInt(value & 0xffff)
}
