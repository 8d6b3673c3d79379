import { assemble } from '@guestmode/asm'
import * as x86 from '@guestmode/x86'
import { ExitReason, guestAccess, guestBase, guestLimit, guestSelector, Vmcs } from '@guestmode/x86'
import { describe, expect, test } from 'vitest'
import { createMachine } from '../machine/create-machine.ts'
import type { Processor } from '../processor/processor.ts'

const EPT_ROOT = 0x1000
const BITMAP = 0x8000
/** Guest-physical 0 is here; the guest has 64 KiB. */
const RAM = 0x1_0000
const CODE = 0x7000

interface Guest {
  readonly vcpu: Processor
  poke(gpa: number, bytes: Uint8Array): void
  /** Enters, and gives the exit reason. */
  enter(instructions?: number): number
  /** RIP behind the instruction that exited. */
  skip(): void
}

/** A real-mode guest at 0:CODE under EPT, as a hypervisor makes it. */
function guest(source: string): Guest {
  const { memory, processor: vcpu } = createMachine({
    physBytes: 0x4_0000,
    environment: { now: () => 0n, tsc: () => 0n, random: () => 0n },
  })
  const put = (hpa: number, value: bigint): void => void (memory.u64[(memory.physBase + hpa) >> 3] = value)
  const revision = vcpu.rdmsr(x86.IA32_VMX_BASIC) & 0x7fff_ffffn
  put(0x5000, revision)
  put(0x6000, revision)
  expect([vcpu.vmxon(0x5000), vcpu.vmclear(0x6000), vcpu.vmptrld(0x6000)]).toEqual([undefined, undefined, undefined])
  put(EPT_ROOT, BigInt(EPT_ROOT + 0x1000) | 7n)
  put(EPT_ROOT + 0x1000, BigInt(EPT_ROOT + 0x2000) | 7n)
  put(EPT_ROOT + 0x2000, BigInt(EPT_ROOT + 0x3000) | 7n)
  for (let i = 0; i < 16; i++) put(EPT_ROOT + 0x3000 + 8 * i, BigInt(RAM + 4096 * i) | 0x37n)
  memory.u8.fill(0xff, memory.physBase + BITMAP, memory.physBase + BITMAP + 0x1000)

  const set = (field: number, value: number): void => vcpu.vmwrite32(field, value >>> 0)
  const required = (msr: number): number => Number(vcpu.rdmsr(msr) & 0xffff_ffffn)
  set(Vmcs.PIN_BASED_VM_EXEC_CONTROL, required(x86.IA32_VMX_TRUE_PINBASED_CTLS) | x86.PIN_NMI_EXITING | x86.PIN_VIRTUAL_NMIS)
  set(
    Vmcs.CPU_BASED_VM_EXEC_CONTROL,
    required(x86.IA32_VMX_TRUE_PROCBASED_CTLS) |
      x86.CPU_HLT_EXITING |
      x86.CPU_UNCONDITIONAL_IO_EXITING |
      x86.CPU_ACTIVATE_SECONDARY,
  )
  set(Vmcs.SECONDARY_VM_EXEC_CONTROL, x86.SECONDARY_EPT | x86.SECONDARY_VPID | x86.SECONDARY_UNRESTRICTED_GUEST)
  set(
    Vmcs.VM_EXIT_CONTROLS,
    required(x86.IA32_VMX_TRUE_EXIT_CTLS) | x86.EXIT_HOST_ADDRESS_SPACE_SIZE | x86.EXIT_SAVE_EFER | x86.EXIT_LOAD_EFER,
  )
  set(Vmcs.VM_ENTRY_CONTROLS, required(x86.IA32_VMX_TRUE_ENTRY_CTLS) | x86.ENTRY_LOAD_EFER)
  set(Vmcs.VIRTUAL_PROCESSOR_ID, 1)
  set(Vmcs.EPT_POINTER, EPT_ROOT | 0x1e)
  vcpu.vmwrite(Vmcs.VMCS_LINK_POINTER, 0xffff_ffff_ffff_ffffn)
  set(Vmcs.HOST_CR0, 0x8000_0031)
  set(Vmcs.HOST_CR4, x86.CR4_PAE | x86.CR4_VMXE)
  set(Vmcs.HOST_CS_SELECTOR, 8)
  set(Vmcs.HOST_TR_SELECTOR, 16)
  set(Vmcs.HOST_IA32_EFER, x86.EFER_LMA | x86.EFER_LME)
  for (let seg = 0; seg < 8; seg++) {
    set(guestSelector(seg), 0)
    set(guestBase(seg), 0)
    set(guestLimit(seg), 0xffff)
    set(guestAccess(seg), seg === x86.SEG_TR ? 0x8b : seg === x86.SEG_LDTR ? 0x82 : seg === x86.SEG_CS ? 0x9b : 0x93)
  }
  set(Vmcs.GUEST_CR0, x86.CR0_NE | x86.CR0_ET)
  set(Vmcs.GUEST_CR4, x86.CR4_VMXE)
  set(Vmcs.CR0_GUEST_HOST_MASK, x86.CR0_NE)
  set(Vmcs.CR4_GUEST_HOST_MASK, x86.CR4_VMXE)
  set(Vmcs.GUEST_IDTR_LIMIT, 0x3ff)
  set(Vmcs.GUEST_RSP, 0x6000)
  set(Vmcs.GUEST_RIP, CODE)
  set(Vmcs.GUEST_RFLAGS, 2)
  set(Vmcs.GUEST_DR7, 0x400)

  const poke = (gpa: number, bytes: Uint8Array): void => memory.u8.set(bytes, memory.physBase + RAM + gpa)
  poke(CODE, assemble(source, { bits: 16, origin: CODE }).bytes)
  let launched = false
  return {
    vcpu,
    poke,
    enter(instructions = 10_000) {
      const status = launched ? vcpu.vmresume(instructions) : vcpu.vmlaunch(instructions)
      expect([status, vcpu.lastEntryFailure]).toEqual([undefined, undefined])
      launched = true
      return vcpu.vmread32(Vmcs.VM_EXIT_REASON)
    },
    skip: () => set(Vmcs.GUEST_RIP, vcpu.vmread32(Vmcs.GUEST_RIP) + vcpu.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)),
  }
}

const rip = ({ vcpu }: Guest): number => vcpu.vmread32(Vmcs.GUEST_RIP)
const ax = ({ vcpu }: Guest): number => Number(vcpu.registers.gpr(0) & 0xffffn)

describe('a guest on the interpreter', () => {
  test('I/O: both directions, the host completes', () => {
    const g = guest('mov dx, 0x3f8\n mov al, 0x41\n out dx, al\n in ax, 0x60\n mov bx, ax\n out 0x80, ax\n hlt')
    expect(g.enter()).toBe(ExitReason.IO_INSTRUCTION)
    expect(g.vcpu.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x3f8_0000)
    expect(ax(g) & 0xff).toBe(0x41)
    g.skip()
    expect(g.enter()).toBe(ExitReason.IO_INSTRUCTION)
    expect(g.vcpu.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x60_0049)
    g.vcpu.registers.setGpr(0, 0xbeefn)
    g.skip()
    expect(g.enter()).toBe(ExitReason.IO_INSTRUCTION)
    expect(g.vcpu.registers.gpr(3) & 0xffffn).toBe(0xbeefn)
    g.skip()
    expect(g.enter()).toBe(ExitReason.HLT)
    expect(rip(g)).toBe(CODE + 12)
    expect(g.vcpu.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)).toBe(1)
  })

  test('a budget ends in an external interrupt', () => {
    const g = guest('x: inc ax\n jmp x')
    expect(g.enter(1000)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(ax(g)).toBeGreaterThan(400)
    expect(ax(g)).toBeLessThan(700)
  })

  test('EPT violations: data and code', () => {
    const g = guest('mov ax, 0x1000\n mov ds, ax\n mov [0x10], bx\n mov cx, 5')
    expect(g.enter()).toBe(ExitReason.EPT_VIOLATION)
    expect(g.vcpu.vmread32(Vmcs.GUEST_PHYSICAL_ADDRESS)).toBe(0x1_0010)
    expect(g.vcpu.vmread32(Vmcs.GUEST_LINEAR_ADDRESS)).toBe(0x1_0010)
    expect(g.vcpu.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x182)
    expect(rip(g)).toBe(CODE + 5)
    g.vcpu.vmwrite32(Vmcs.GUEST_CS_BASE, 0x2_0000)
    expect(g.enter()).toBe(ExitReason.EPT_VIOLATION)
    expect(g.vcpu.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x184)
    expect(g.vcpu.vmread32(Vmcs.GUEST_PHYSICAL_ADDRESS)).toBe(0x2_0000 + CODE + 5)
  })

  test('an interrupt window opens behind the shadow of STI; the interrupt goes through the vector table', () => {
    const g = guest(`
      cli
      nop
      sti
      inc bx
      inc bx
      hlt
    handler:
      mov cx, 7
      iret`)
    g.poke(0x20 * 4, Uint8Array.of(0x06, CODE >> 8, 0, 0))
    g.vcpu.vmwrite32(
      Vmcs.CPU_BASED_VM_EXEC_CONTROL,
      (g.vcpu.vmread32(Vmcs.CPU_BASED_VM_EXEC_CONTROL) | x86.CPU_INTERRUPT_WINDOW_EXITING) >>> 0,
    )
    expect(g.enter()).toBe(ExitReason.INTERRUPT_WINDOW)
    expect([rip(g), g.vcpu.registers.gpr(3)]).toEqual([CODE + 4, 1n])
    g.vcpu.vmwrite32(
      Vmcs.CPU_BASED_VM_EXEC_CONTROL,
      g.vcpu.vmread32(Vmcs.CPU_BASED_VM_EXEC_CONTROL) & ~x86.CPU_INTERRUPT_WINDOW_EXITING,
    )
    g.vcpu.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0020)
    expect(g.enter()).toBe(ExitReason.HLT)
    expect(rip(g)).toBe(CODE + 5)
    expect([g.vcpu.registers.gpr(1), g.vcpu.registers.gpr(3)]).toEqual([7n, 2n])
  })

  test('monitor trap flag: one instruction for each entry, a faulting one ends at its handler', () => {
    const g = guest('mov ax, 1\n xor dx, dx\n div dx\n nop')
    g.poke(0, Uint8Array.of(0x00, 0x50, 0, 0))
    g.vcpu.vmwrite32(
      Vmcs.CPU_BASED_VM_EXEC_CONTROL,
      (g.vcpu.vmread32(Vmcs.CPU_BASED_VM_EXEC_CONTROL) | x86.CPU_MONITOR_TRAP_FLAG) >>> 0,
    )
    const seen = [1, 2, 3].map(() => [g.enter(), rip(g)])
    expect(seen).toEqual([
      [ExitReason.MONITOR_TRAP_FLAG, CODE + 3],
      [ExitReason.MONITOR_TRAP_FLAG, CODE + 5],
      [ExitReason.MONITOR_TRAP_FLAG, 0x5000],
    ])
  })

  test('intercepted exceptions, with the instruction untouched', () => {
    const g = guest('xor cx, cx\n div cx\n hlt')
    g.vcpu.vmwrite32(Vmcs.EXCEPTION_BITMAP, 1 | (1 << 6) | (1 << 3))
    expect(g.enter()).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(g.vcpu.vmread32(Vmcs.VM_EXIT_INTR_INFO)).toBe(0x8000_0300)
    expect(rip(g)).toBe(CODE + 2)
    g.poke(CODE + 2, Uint8Array.of(0xcc))
    g.vcpu.invalidateCode(RAM + CODE + 2, 1)
    expect(g.enter()).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(g.vcpu.vmread32(Vmcs.VM_EXIT_INTR_INFO)).toBe(0x8000_0603)
    expect(g.vcpu.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)).toBe(1)
  })

  test('a triple fault', () => {
    const g = guest('lidt [cs:none]\n mov sp, 1\n xor cx, cx\n div cx\nnone: dw 0\n dd 0')
    expect(g.enter()).toBe(ExitReason.TRIPLE_FAULT)
  })

  test('from real to long mode without leaving the guest; the entry controls follow', () => {
    const g = guest(`
      lgdt [gdtr]
      mov eax, 0x6a0
      mov cr4, eax
      mov eax, 0x1000
      mov cr3, eax
      mov ecx, 0xc0000080
      mov eax, 0x100
      xor edx, edx
      wrmsr
      mov eax, cr0
      or eax, 0x80000001
      mov cr0, eax
      jmp 0x08:long
    bits 64
    long:
      mov rax, cr4
      mov rbx, cr0
      mov rcx, 0x123456789abcdef0
      hlt
    gdt: dq 0, 0x00af9b000000ffff
    gdtr: dw 15
      dd gdt`)
    const table = new Uint8Array(new BigUint64Array([0x2007n]).buffer)
    g.poke(0x1000, table)
    g.poke(0x2000, new Uint8Array(new BigUint64Array([0x3007n]).buffer))
    g.poke(0x3000, new Uint8Array(new BigUint64Array([0x87n]).buffer))
    g.vcpu.vmwrite32(
      Vmcs.CPU_BASED_VM_EXEC_CONTROL,
      (g.vcpu.vmread32(Vmcs.CPU_BASED_VM_EXEC_CONTROL) | x86.CPU_USE_MSR_BITMAPS) >>> 0,
    )
    g.vcpu.vmwrite32(Vmcs.MSR_BITMAP, 0x9000)
    expect(g.enter()).toBe(ExitReason.HLT)
    expect(g.vcpu.vmread32(Vmcs.GUEST_IA32_EFER)).toBe(0x500)
    expect(g.vcpu.vmread32(Vmcs.VM_ENTRY_CONTROLS) & x86.ENTRY_IA32E_MODE_GUEST).not.toBe(0)
    expect(g.vcpu.registers.gpr(0)).toBe(0x6a0n)
    expect(g.vcpu.registers.gpr(3)).toBe(0x8000_0011n)
    expect(g.vcpu.registers.gpr(1)).toBe(0x1234_5678_9abc_def0n)
    g.skip()
    g.vcpu.vmwrite32(Vmcs.GUEST_RFLAGS, 2)
    expect(g.vcpu.vmread32(Vmcs.GUEST_CR4)).toBe(0x26a0)
  })

  test("shadow paging: page faults exit, CR2 stays the guest's", () => {
    const g = guest('bits 32\n mov eax, 0xabc\n mov cr2, eax\n mov [0x12345678], al\n hlt')
    const { vcpu } = g
    const set = (field: number, value: number): void => vcpu.vmwrite32(field, value >>> 0)
    const { memory } = vcpu
    const entry = (hpa: number, value: number): void => void (memory.u32[(memory.physBase + hpa) >> 2] = value)
    entry(0xa000, 0xb007)
    for (let i = 0; i < 16; i++) entry(0xb000 + 4 * i, RAM + 4096 * i + 7)
    set(Vmcs.SECONDARY_VM_EXEC_CONTROL, x86.SECONDARY_VPID)
    set(Vmcs.GUEST_CR0, 0x8000_0031)
    set(Vmcs.GUEST_CR3, 0xa000)
    for (let seg = 0; seg < 6; seg++) {
      set(guestLimit(seg), 0xffff_ffff)
      set(guestAccess(seg), seg === x86.SEG_CS ? 0xc09b : 0xc093)
    }
    set(Vmcs.EXCEPTION_BITMAP, 1 << 14)
    expect(g.enter()).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(vcpu.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x1234_5678)
    expect(vcpu.vmread32(Vmcs.VM_EXIT_INTR_ERROR_CODE)).toBe(2)
    expect(vcpu.registers.cr2).toBe(0xabcn)
    expect(rip(g)).toBe(CODE + 8)
    entry(0xa000 + 4 * (0x1234_5678 >>> 22), 0xc007)
    entry(0xc000 + 4 * ((0x1234_5678 >>> 12) & 0x3ff), RAM + 7)
    expect(g.enter()).toBe(ExitReason.HLT)
    expect(memory.u8[memory.physBase + RAM + 0x678]).toBe(0xbc)
    entry(0xa000, 0)
    set(Vmcs.GUEST_RIP, CODE + 8)
    vcpu.invvpid(1, 1)
    expect(g.enter()).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(vcpu.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(CODE + 8)
  })

  test('string I/O tells its operand', () => {
    const g = guest('mov si, 0x1234\n mov dx, 0x1f0\n mov cx, 3\n rep outsw')
    expect(g.enter()).toBe(ExitReason.IO_INSTRUCTION)
    expect(g.vcpu.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x1f0_0031)
    expect(g.vcpu.vmread32(Vmcs.GUEST_LINEAR_ADDRESS)).toBe(0x1234)
    expect(g.vcpu.vmread32(Vmcs.VM_EXIT_INSTRUCTION_INFO)).toBe(3 << 15)
    expect(g.vcpu.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)).toBe(2)
  })
})
