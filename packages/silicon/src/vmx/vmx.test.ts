import * as x86 from '@guestmode/x86'
import { ExitReason, Vmcs } from '@guestmode/x86'
import { describe, expect, test } from 'vitest'
import { GuestFault, VmExit } from '../cpu/events.ts'
import { readFlags } from '../microcode/flags.ts'
import {
  EPT_ROOT,
  IO_BITMAPS,
  MSR_BITMAP,
  readyMachine,
  VIRTUAL_APIC,
  VMCS_REGION,
  VMXON_REGION,
  type VmxMachine,
} from '../../test/vmx-machine.ts'

const add = (m: VmxMachine, field: number, bits: number): void => m.vmx.vmwrite32(field, (m.vmx.vmread32(field) | bits) >>> 0)
const remove = (m: VmxMachine, field: number, bits: number): void => m.vmx.vmwrite32(field, (m.vmx.vmread32(field) & ~bits) >>> 0)

/** Launches, lets the guest do `work`, and gives the exit reason. */
function exitOf(m: VmxMachine, work: (m: VmxMachine) => void): number {
  m.guest = work
  const status = m.vmx.vmread32(Vmcs.VM_EXIT_REASON) === 0 && !launched.has(m) ? m.vmx.vmlaunch(1000) : m.vmx.vmresume(1000)
  expect([status, m.vmx.lastEntryFailure]).toEqual([undefined, undefined])
  launched.add(m)
  return m.vmx.vmread32(Vmcs.VM_EXIT_REASON)
}
const launched = new WeakSet<VmxMachine>()

describe('the VMCS pointer', () => {
  test('VMXON and VMPTRLD want a page with the revision', () => {
    const m = readyMachine()
    expect(m.vmx.vmxon(VMXON_REGION)).toBe(15)
    expect(m.vmx.vmread32(Vmcs.VM_INSTRUCTION_ERROR)).toBe(15)
    expect(m.vmx.vmptrld(0x3001)).toBe(9)
    expect(m.vmx.vmptrld(0x7fff_f000)).toBe(9)
    expect(m.vmx.vmptrld(VMXON_REGION)).toBe(10)
    expect(m.vmx.vmptrld(0x3000)).toBe(11)
    expect(m.vmx.vmclear(VMXON_REGION)).toBe(3)
    expect(m.vmx.vmclear(0x123)).toBe(2)
    expect(m.vmx.vmptrst()).toBe(VMCS_REGION)
    m.vmx.vmxoff()
    expect(() => m.vmx.vmptrst()).toThrow('VMXON')
  })

  test('launch state', () => {
    const m = readyMachine()
    expect(m.vmx.vmresume(1)).toBe(5)
    expect(m.vmx.vmlaunch(1)).toBe(undefined)
    expect(m.vmx.vmlaunch(1)).toBe(4)
    expect(m.vmx.vmresume(1)).toBe(undefined)
    m.vmx.vmclear(VMCS_REGION)
    expect(m.vmx.vmptrst()).toBe(undefined)
    expect(m.vmx.vmlaunch(1)).toBe(0)
    expect(() => m.vmx.vmread(Vmcs.GUEST_RIP)).toThrow('no current VMCS')
  })

  test('fields: width, halves, refusals', () => {
    const { vmx } = readyMachine()
    vmx.vmwrite(Vmcs.GUEST_ES_SELECTOR, 0x12345n)
    expect(vmx.vmread(Vmcs.GUEST_ES_SELECTOR)).toBe(0x2345n)
    vmx.vmwrite(Vmcs.TSC_OFFSET, -5n)
    expect(vmx.vmread(Vmcs.TSC_OFFSET)).toBe((1n << 64n) - 5n)
    expect(vmx.vmread32(Vmcs.TSC_OFFSET + 1)).toBe(0xffff_ffff)
    vmx.vmwrite32(Vmcs.TSC_OFFSET + 1, 7)
    expect(vmx.vmread(Vmcs.TSC_OFFSET)).toBe(0x7_ffff_fffbn)
    vmx.vmwrite32(Vmcs.GUEST_RIP, 2 ** 40 + 3)
    expect(vmx.vmread32(Vmcs.GUEST_RIP)).toBe(2 ** 40 + 3)
    expect(() => vmx.vmread(0x2040)).toThrow('no field 0x2040')
    expect(() => vmx.vmread(Vmcs.GUEST_RIP + 1)).toThrow('no field')
    expect(() => vmx.vmwrite(Vmcs.VM_EXIT_REASON, 0n)).toThrow('VM_EXIT_REASON is read-only')
  })

  test('guest state moves to its region when another VMCS becomes current, and back', () => {
    const m = readyMachine()
    exitOf(m, ({ state }) => {
      state.rip = 0x1234n
      state.gpr.set(4, 0x5678n)
      state.segBase.set(4, 0xffff_8000_0000_0000n)
      state.flagsSystem = 0x202
      state.sysenterCs = 0x10n
    })
    expect(m.vmx.vmread(Vmcs.GUEST_RIP)).toBe(0x1234n)
    const revision = m.peek32(VMCS_REGION)
    m.poke32(0x3000, revision)
    m.vmx.vmclear(0x3000)
    m.vmx.vmptrld(0x3000)
    expect(m.vmx.vmread(Vmcs.GUEST_RIP)).toBe(0n)
    m.state.rip = 0n
    m.state.segBase.set(4, 0n)
    m.vmx.vmptrld(VMCS_REGION)
    expect(m.vmx.vmread(Vmcs.GUEST_RIP)).toBe(0x1234n)
    expect(m.vmx.vmread(Vmcs.GUEST_RFLAGS) & 0x202n).toBe(0x202n)
    const seen: bigint[] = []
    exitOf(m, ({ state }) => seen.push(state.rip, state.gpr.get(4), state.segBase.get(4), state.sysenterCs))
    expect(seen).toEqual([0x1234n, 0x5678n, 0xffff_8000_0000_0000n, 0x10n])
  })
})

describe('entry and exit', () => {
  test('the guest state is in the processor while the guest runs, and outside it is the host', () => {
    const m = readyMachine()
    expect(
      exitOf(m, ({ state, nonRoot }) => {
        expect(nonRoot).toBeDefined()
        expect(state.rip).toBe(0x1_0000n)
        expect(state.codeWidth).toBe(32)
        expect(state.segLimit.get(x86.SEG_TR)).toBe(0x67)
      }),
    ).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(m.nonRoot).toBe(undefined)
    expect(m.vmx.hostMsr(x86.IA32_EFER)).toBe(0x500n)
  })

  test('EFER by the "IA-32e mode guest" control, saved with it', () => {
    const m = readyMachine()
    m.vmx.vmwrite32(Vmcs.GUEST_IA32_EFER, x86.EFER_NXE)
    exitOf(m, ({ state }) => {
      expect(state.efer).toBe(BigInt(x86.EFER_NXE))
      state.efer = BigInt(x86.EFER_LMA | x86.EFER_LME)
    })
    expect(m.vmx.vmread32(Vmcs.GUEST_IA32_EFER)).toBe(x86.EFER_LMA | x86.EFER_LME)
    expect(m.vmx.vmread32(Vmcs.VM_ENTRY_CONTROLS) & x86.ENTRY_IA32E_MODE_GUEST).not.toBe(0)
  })

  test('acknowledged external interrupts report a vector', () => {
    const m = readyMachine()
    exitOf(m, () => undefined)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_INFO)).toBe(0)
    add(m, Vmcs.VM_EXIT_CONTROLS, x86.EXIT_ACK_INTERRUPT)
    exitOf(m, () => undefined)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_INFO) >>> 31).toBe(1)
  })

  test('MSR areas', () => {
    const m = readyMachine()
    m.msrs.set(x86.IA32_TSC_AUX, 1n)
    m.msrs.set(x86.IA32_STAR, 2n)
    m.poke64(0xc000, BigInt(x86.IA32_TSC_AUX))
    m.poke64(0xc008, 77n)
    m.poke64(0xc100, BigInt(x86.IA32_STAR))
    m.poke64(0xc200, BigInt(x86.IA32_TSC_AUX))
    m.poke64(0xc208, 5n)
    const { vmx } = m
    vmx.vmwrite32(Vmcs.VM_ENTRY_MSR_LOAD_ADDR, 0xc000)
    vmx.vmwrite32(Vmcs.VM_ENTRY_MSR_LOAD_COUNT, 1)
    vmx.vmwrite32(Vmcs.VM_EXIT_MSR_STORE_ADDR, 0xc100)
    vmx.vmwrite32(Vmcs.VM_EXIT_MSR_STORE_COUNT, 1)
    vmx.vmwrite32(Vmcs.VM_EXIT_MSR_LOAD_ADDR, 0xc200)
    vmx.vmwrite32(Vmcs.VM_EXIT_MSR_LOAD_COUNT, 1)
    exitOf(m, ({ msrs }) => {
      expect(msrs.get(x86.IA32_TSC_AUX)).toBe(77n)
      msrs.set(x86.IA32_STAR, 99n)
    })
    expect(m.peek64(0xc108)).toBe(99n)
    expect(m.msrs.get(x86.IA32_TSC_AUX)).toBe(5n)
    m.poke64(0xc000, 0x999n)
    expect(vmx.vmresume(1)).toBe(undefined)
    expect(vmx.vmread32(Vmcs.VM_EXIT_REASON)).toBe((ExitReason.ENTRY_FAILURE | ExitReason.MSR_LOADING) >>> 0)
    expect(vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(1)
  })

  test('translations: a new VPID, EPT pointer or CR3 drops them, a resumption does not', () => {
    const m = readyMachine()
    exitOf(m, () => undefined)
    m.flushes = 0
    m.modeChanges = 0
    m.vmx.vmwrite32(Vmcs.GUEST_RIP, 0x1_0002)
    exitOf(m, () => undefined)
    expect([m.flushes, m.modeChanges]).toEqual([0, 0])
    for (const [field, value] of [
      [Vmcs.VIRTUAL_PROCESSOR_ID, 2],
      [Vmcs.GUEST_CR3, 0x5000],
      [Vmcs.EPT_POINTER, (EPT_ROOT + 0x1000) | 0x1e],
    ] as const) {
      m.flushes = 0
      m.vmx.vmwrite32(field, value)
      exitOf(m, () => undefined)
      expect(m.flushes).toBe(1)
    }
    remove(m, Vmcs.SECONDARY_VM_EXEC_CONTROL, x86.SECONDARY_VPID)
    exitOf(m, () => undefined)
    m.flushes = 0
    exitOf(m, () => undefined)
    expect(m.flushes).toBe(1)
    expect(m.vmx.invept(1)).toBe(undefined)
    expect(m.vmx.invvpid(1, 0)).toBe(28)
  })
})

/** I/O exits are returned; a guest of these tests leaves by throwing. */
function throwIfExit(exit: VmExit | undefined): void {
  if (exit !== undefined) throw exit
}

describe('intercepts', () => {
  test('I/O by the bitmaps, with qualification and length', () => {
    const m = readyMachine()
    const work = ({ state, nonRoot }: VmxMachine): void => {
      m.nextRip = state.rip + 2n
      throwIfExit(nonRoot!.io(0x3f8, 1, 'out', false, false, false))
      throwIfExit(nonRoot!.io(0x60, 2, 'in', false, false, true))
    }
    expect(exitOf(m, work)).toBe(ExitReason.IO_INSTRUCTION)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x3f8_0000)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)).toBe(2)
    m.poke(IO_BITMAPS + 0x7f, 0)
    exitOf(m, work)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x60_0049)
    m.poke(IO_BITMAPS + 0xc, 0)
    expect(exitOf(m, work)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(exitOf(m, ({ nonRoot }) => throwIfExit(nonRoot!.io(0xffff, 2, 'in', false, false, false)))).toBe(
      ExitReason.IO_INSTRUCTION,
    )
    remove(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_USE_IO_BITMAPS)
    expect(exitOf(m, work)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    add(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_UNCONDITIONAL_IO_EXITING)
    expect(exitOf(m, work)).toBe(ExitReason.IO_INSTRUCTION)
  })

  test('MSRs by the bitmaps', () => {
    const m = readyMachine()
    m.mem.u8.fill(0, m.mem.physBase + MSR_BITMAP, m.mem.physBase + MSR_BITMAP + 0x1000)
    const reads = (index: number): number => exitOf(m, ({ nonRoot }) => nonRoot!.readMsr(index))
    const writes = (index: number): number => exitOf(m, ({ nonRoot }) => nonRoot!.writeMsr(index))
    expect(reads(x86.IA32_EFER)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    m.poke(MSR_BITMAP + 0x400 + 0x10, 1)
    expect(reads(x86.IA32_EFER)).toBe(ExitReason.MSR_READ)
    expect(writes(x86.IA32_EFER)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    m.poke(MSR_BITMAP + 0xc00 + 0x10, 1)
    expect(writes(x86.IA32_EFER)).toBe(ExitReason.MSR_WRITE)
    m.poke(MSR_BITMAP + 0x800 + (0x174 >> 3), 1 << (0x174 & 7))
    expect(writes(0x174)).toBe(ExitReason.MSR_WRITE)
    expect(reads(0x2000)).toBe(ExitReason.MSR_READ)
    expect(reads(0x4000_0000)).toBe(ExitReason.MSR_READ)
  })

  test('instructions by name', () => {
    const m = readyMachine()
    const does = (name: string): number => exitOf(m, ({ nonRoot }) => nonRoot!.instruction(name))
    expect(does('CPUID')).toBe(ExitReason.CPUID)
    expect(does('HLT')).toBe(ExitReason.HLT)
    expect(does('RDTSC')).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(does('LGDT')).toBe(ExitReason.EXTERNAL_INTERRUPT)
    add(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_RDTSC_EXITING)
    add(m, Vmcs.SECONDARY_VM_EXEC_CONTROL, x86.SECONDARY_DESCRIPTOR_TABLE_EXITING)
    expect(does('RDTSC')).toBe(ExitReason.RDTSC)
    expect(does('STR')).toBe(ExitReason.LDTR_OR_TR_ACCESS)
    expect(() => does('RDTSCP')).toThrow(GuestFault)
    add(m, Vmcs.SECONDARY_VM_EXEC_CONTROL, x86.SECONDARY_RDTSCP)
    expect(does('RDTSCP')).toBe(ExitReason.RDTSCP)
  })

  test('CR0 and CR4 under masks and shadows', () => {
    const m = readyMachine()
    m.vmx.vmwrite32(Vmcs.CR0_GUEST_HOST_MASK, x86.CR0_PG | x86.CR0_NE)
    m.vmx.vmwrite32(Vmcs.CR0_READ_SHADOW, 0)
    exitOf(m, ({ state, nonRoot }) => {
      expect(nonRoot!.readCr(0, 0, state.cr0)).toBe(0x11n)
      expect(nonRoot!.writeCr(0, 0x8n, 3, 'mov', state.cr0)).toBe(0x28n)
      expect(nonRoot!.writeCr(0, 0n, 0, 'clts', 0x3bn)).toBe(0x33n)
      expect(() => nonRoot!.writeCr(4, 0n, 0, 'mov', state.cr4)).toThrow(GuestFault)
    })
    expect(exitOf(m, ({ nonRoot, state }) => nonRoot!.writeCr(0, 0x8000_0021n, 3, 'mov', state.cr0))).toBe(ExitReason.CR_ACCESS)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x300)
    m.vmx.vmwrite32(Vmcs.CR0_GUEST_HOST_MASK, x86.CR0_TS)
    m.vmx.vmwrite32(Vmcs.CR0_READ_SHADOW, x86.CR0_TS)
    expect(exitOf(m, ({ nonRoot, state }) => nonRoot!.writeCr(0, 0n, 0, 'clts', state.cr0))).toBe(ExitReason.CR_ACCESS)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x20)
    m.vmx.vmwrite32(Vmcs.CR4_GUEST_HOST_MASK, x86.CR4_VMXE)
    exitOf(m, ({ nonRoot, state }) => {
      expect(nonRoot!.readCr(4, 0, state.cr4)).toBe(0n)
      expect(nonRoot!.writeCr(4, 0x20n, 0, 'mov', state.cr4)).toBe(0x2020n)
    })
  })

  test('LMSW is judged by its operand', () => {
    const m = readyMachine()
    m.poke(0x1_0000, 0x0f, 0x01, 0xf0)
    m.vmx.vmwrite32(Vmcs.CR0_GUEST_HOST_MASK, 1)
    m.vmx.vmwrite32(Vmcs.CR0_READ_SHADOW, 0)
    const lmsw = ({ state, nonRoot }: VmxMachine): void => {
      m.nextRip = state.rip + 3n
      nonRoot!.writeCr(0, 0x31n, 0, 'lmsw', state.cr0)
    }
    m.state.gpr.set(0, 0x30n)
    expect(exitOf(m, lmsw)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    m.state.gpr.set(0, 0x31n)
    expect(exitOf(m, lmsw)).toBe(ExitReason.CR_ACCESS)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x31_0030)
  })

  test('CR3 targets, CR8 and the TPR shadow, debug registers', () => {
    const m = readyMachine()
    add(
      m,
      Vmcs.CPU_BASED_VM_EXEC_CONTROL,
      x86.CPU_CR3_LOAD_EXITING | x86.CPU_CR3_STORE_EXITING | x86.CPU_MOV_DR_EXITING | x86.CPU_USE_TPR_SHADOW,
    )
    m.vmx.vmwrite32(Vmcs.VIRTUAL_APIC_PAGE_ADDR, VIRTUAL_APIC)
    m.vmx.vmwrite32(Vmcs.CR3_TARGET_COUNT, 2)
    m.vmx.vmwrite(Vmcs.CR3_TARGET_VALUE1, 0x7000n)
    exitOf(m, ({ nonRoot, state }) => {
      expect(nonRoot!.writeCr(3, 0x7000n, 0, 'mov', 0n)).toBe(0x7000n)
      expect(nonRoot!.writeCr(8, 0x9n, 0, 'mov', state.cr8)).toBe(0n)
      expect(nonRoot!.readCr(8, 0, state.cr8)).toBe(9n)
    })
    expect(m.peek32(VIRTUAL_APIC + 0x80)).toBe(0x90)
    m.vmx.vmwrite32(Vmcs.TPR_THRESHOLD, 5)
    expect(
      exitOf(m, ({ nonRoot, state }) => {
        nonRoot!.writeCr(8, 0x4n, 0, 'mov', state.cr8)
        expect(nonRoot!.watching).toBe(true)
        nonRoot!.boundary()
      }),
    ).toBe(ExitReason.TPR_BELOW_THRESHOLD)
    m.vmx.vmwrite32(Vmcs.TPR_THRESHOLD, 0)
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.writeCr(3, 0x8000n, 5, 'mov', 0n))).toBe(ExitReason.CR_ACCESS)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x503)
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.readCr(3, 2, 0n))).toBe(ExitReason.CR_ACCESS)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x213)
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.movDr(7, 'from', 1))).toBe(ExitReason.DR_ACCESS)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x117)
  })

  test('exceptions by the bitmap, page faults by mask and match too', () => {
    const m = readyMachine()
    const faults = (vector: number, code?: number): number =>
      exitOf(m, ({ nonRoot }) => nonRoot!.exception(new GuestFault(vector, code), 0xdead_b000n))
    expect(faults(13, 8)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    m.vmx.vmwrite32(Vmcs.EXCEPTION_BITMAP, (1 << 13) | (1 << 3))
    expect(faults(13, 8)).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_INFO)).toBe(0x8000_0b0d)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_ERROR_CODE)).toBe(8)
    m.nextRip = 0x1_0001n
    expect(faults(3)).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_INFO)).toBe(0x8000_0603)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)).toBe(1)
    m.vmx.vmwrite32(Vmcs.EXCEPTION_BITMAP, 1 << 14)
    expect(faults(14, 2)).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(m.vmx.vmread(Vmcs.EXIT_QUALIFICATION)).toBe(0xdead_b000n)
    m.vmx.vmwrite32(Vmcs.PAGE_FAULT_ERROR_CODE_MASK, 1)
    m.vmx.vmwrite32(Vmcs.PAGE_FAULT_ERROR_CODE_MATCH, 1)
    expect(faults(14, 2)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(faults(14, 3)).toBe(ExitReason.EXCEPTION_OR_NMI)
    m.vmx.vmwrite32(Vmcs.EXCEPTION_BITMAP, 0)
    expect(faults(14, 3)).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(faults(14, 2)).toBe(ExitReason.EXCEPTION_OR_NMI)
  })

  test('task switches and triple faults', () => {
    const m = readyMachine()
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.taskSwitch(0x28, 'jmp'))).toBe(ExitReason.TASK_SWITCH)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x8000_0028)
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.tripleFault())).toBe(ExitReason.TRIPLE_FAULT)
  })

  test('TSC offset', () => {
    const m = readyMachine()
    m.vmx.vmwrite(Vmcs.TSC_OFFSET, 1000n)
    exitOf(m, ({ nonRoot }) => expect(nonRoot!.tscOffset).toBe(0n))
    add(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_USE_TSC_OFFSETTING)
    exitOf(m, ({ nonRoot }) => expect(nonRoot!.tscOffset).toBe(1000n))
  })
})

describe('instruction information', () => {
  test('OUTS with a segment override', () => {
    const m = readyMachine()
    // REP OUTS DX, byte [ES:ESI]
    m.poke(0x1_0000, 0xf3, 0x26, 0x6e)
    m.state.gpr.set(6, 0x2345n)
    m.vmx.vmwrite32(Vmcs.GUEST_ES_BASE, 0x1_0000)
    exitOf(m, ({ state, nonRoot }) => {
      m.nextRip = state.rip + 3n
      throwIfExit(nonRoot!.io(0x1f0, 1, 'out', true, true, false))
    })
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x1f0_0030)
    expect(m.vmx.vmread32(Vmcs.GUEST_LINEAR_ADDRESS)).toBe(0x1_2345)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INSTRUCTION_INFO)).toBe(1 << 7)
  })

  test('LGDT: registers, scale, displacement', () => {
    const m = readyMachine()
    add(m, Vmcs.SECONDARY_VM_EXEC_CONTROL, x86.SECONDARY_DESCRIPTOR_TABLE_EXITING)
    // LGDT [EBX + ECX*4 - 8]
    m.poke(0x1_0000, 0x0f, 0x01, 0x54, 0x8b, 0xf8)
    exitOf(m, ({ state, nonRoot }) => {
      m.nextRip = state.rip + 5n
      nonRoot!.instruction('LGDT')
    })
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INSTRUCTION_INFO)).toBe(
      (2 | (1 << 7) | (1 << 11) | (3 << 15) | (1 << 18) | (3 << 23) | (2 << 28)) >>> 0,
    )
    expect(m.vmx.vmread(Vmcs.EXIT_QUALIFICATION)).toBe((1n << 64n) - 8n)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INSTRUCTION_LENGTH)).toBe(5)
  })
})

describe('boundaries', () => {
  test('interrupt window', () => {
    const m = readyMachine()
    add(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_INTERRUPT_WINDOW_EXITING)
    const opens = (): number =>
      exitOf(m, ({ nonRoot }) => {
        expect(nonRoot!.watching).toBe(true)
        nonRoot!.boundary()
      })
    expect(opens()).toBe(ExitReason.EXTERNAL_INTERRUPT)
    m.vmx.vmwrite32(Vmcs.GUEST_RFLAGS, 0x202)
    expect(opens()).toBe(ExitReason.INTERRUPT_WINDOW)
    m.vmx.vmwrite32(Vmcs.GUEST_INTERRUPTIBILITY_INFO, x86.BLOCKING_BY_STI)
    expect(
      exitOf(m, ({ state, nonRoot }) => {
        nonRoot!.boundary()
        state.interruptibility = 0
        nonRoot!.boundary()
      }),
    ).toBe(ExitReason.INTERRUPT_WINDOW)
    m.vmx.vmwrite32(Vmcs.GUEST_ACTIVITY_STATE, x86.ACTIVITY_HLT)
    expect(exitOf(m, () => expect.fail('a halted guest runs'))).toBe(ExitReason.INTERRUPT_WINDOW)
    m.vmx.vmwrite32(Vmcs.GUEST_RFLAGS, 2)
    expect(exitOf(m, () => expect.fail('a halted guest runs'))).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(m.vmx.vmread32(Vmcs.GUEST_ACTIVITY_STATE)).toBe(x86.ACTIVITY_HLT)
  })

  test('NMI window', () => {
    const m = readyMachine()
    add(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_NMI_WINDOW_EXITING)
    m.vmx.vmwrite32(Vmcs.GUEST_INTERRUPTIBILITY_INFO, x86.BLOCKING_BY_NMI)
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.boundary())).toBe(ExitReason.EXTERNAL_INTERRUPT)
    m.vmx.vmwrite32(Vmcs.GUEST_INTERRUPTIBILITY_INFO, 0)
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.boundary())).toBe(ExitReason.NMI_WINDOW)
  })

  test('monitor trap flag: after one instruction', () => {
    const m = readyMachine()
    add(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_MONITOR_TRAP_FLAG)
    let instructions = 0
    expect(
      exitOf(m, ({ nonRoot, vmx }) => {
        expect(vmx.nonRoot.singleStep).toBe(true)
        for (;;) {
          nonRoot!.boundary()
          instructions++
        }
      }),
    ).toBe(ExitReason.MONITOR_TRAP_FLAG)
    expect(instructions).toBe(1)
    remove(m, Vmcs.CPU_BASED_VM_EXEC_CONTROL, x86.CPU_MONITOR_TRAP_FLAG)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0700)
    expect(exitOf(m, ({ nonRoot }) => nonRoot!.boundary())).toBe(ExitReason.MONITOR_TRAP_FLAG)
  })

  test('preemption timer', () => {
    const m = readyMachine()
    add(m, Vmcs.PIN_BASED_VM_EXEC_CONTROL, x86.PIN_PREEMPTION_TIMER)
    add(m, Vmcs.VM_EXIT_CONTROLS, x86.EXIT_SAVE_PREEMPTION_TIMER)
    m.vmx.vmwrite32(Vmcs.VMX_PREEMPTION_TIMER_VALUE, 10)
    expect(exitOf(m, () => (m.tsc += 100n))).toBe(ExitReason.EXTERNAL_INTERRUPT)
    expect(m.vmx.vmread32(Vmcs.VMX_PREEMPTION_TIMER_VALUE)).toBe(6)
    expect(exitOf(m, () => (m.tsc += 1000n))).toBe(ExitReason.PREEMPTION_TIMER)
    expect(m.vmx.vmread32(Vmcs.VMX_PREEMPTION_TIMER_VALUE)).toBe(0)
    expect(exitOf(m, () => expect.fail('no instruction before a timer of 0'))).toBe(ExitReason.PREEMPTION_TIMER)
  })
})

describe('events', () => {
  const IDT = 0x5_0000
  const GDT = 0x5_1000

  function withTables(): VmxMachine {
    const m = readyMachine()
    const [low, high] = x86.encodeDescriptor(0, 0xffff_ffff, 0xc09b)
    m.poke32(GDT + 8, low)
    m.poke32(GDT + 12, high)
    const gate = x86.encodeGate(8, 0x3_0000, 0x8e)
    for (const vector of [6, 13, 32]) {
      m.poke32(IDT + vector * 8, gate[0])
      m.poke32(IDT + vector * 8 + 4, gate[1])
    }
    m.vmx.vmwrite32(Vmcs.GUEST_GDTR_BASE, GDT)
    m.vmx.vmwrite32(Vmcs.GUEST_GDTR_LIMIT, 0xff)
    m.vmx.vmwrite32(Vmcs.GUEST_IDTR_BASE, IDT)
    m.vmx.vmwrite32(Vmcs.GUEST_IDTR_LIMIT, 0x7ff)
    m.vmx.vmwrite32(Vmcs.GUEST_RFLAGS, 0x202)
    return m
  }

  test('an injected interrupt is delivered before the first instruction, and once', () => {
    const m = withTables()
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0020)
    exitOf(m, ({ state }) => {
      expect(state.rip).toBe(0x3_0000n)
      expect(readFlags(m) & 0x200).toBe(0)
    })
    expect(m.peek32(0x2_0000 - 12)).toBe(0x1_0000)
    expect(m.vmx.vmread32(Vmcs.VM_ENTRY_INTR_INFO)).toBe(0x20)
    expect(m.vmx.vmread32(Vmcs.IDT_VECTORING_INFO)).toBe(0)
    m.vmx.vmwrite32(Vmcs.GUEST_RIP, 0x4_0000)
    exitOf(m, ({ state }) => expect(state.rip).toBe(0x4_0000n))
  })

  test('an injected interrupt wakes a halted guest', () => {
    const m = withTables()
    m.vmx.vmwrite32(Vmcs.GUEST_ACTIVITY_STATE, x86.ACTIVITY_HLT)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0020)
    exitOf(m, ({ state }) => expect(state.rip).toBe(0x3_0000n))
    expect(m.vmx.vmread32(Vmcs.GUEST_ACTIVITY_STATE)).toBe(0)
  })

  test('an exception with an error code; a software interrupt pushes the next address', () => {
    const m = withTables()
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0b0d)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_EXCEPTION_ERROR_CODE, 0x18)
    exitOf(m, () => expect(m.peek32(0x2_0000 - 16)).toBe(0x18))
    m.vmx.vmwrite32(Vmcs.GUEST_RSP, 0x2_0000)
    m.vmx.vmwrite32(Vmcs.GUEST_RIP, 0x1_0000)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0420)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INSTRUCTION_LENGTH, 2)
    exitOf(m, () => expect(m.peek32(0x2_0000 - 12)).toBe(0x1_0002))
  })

  test('an EPT violation during delivery leaves IDT-vectoring information', () => {
    const m = withTables()
    m.vmx.vmwrite32(Vmcs.GUEST_RSP, 0x8000_0000)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0b0d)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_EXCEPTION_ERROR_CODE, 0x18)
    expect(exitOf(m, () => undefined)).toBe(ExitReason.EPT_VIOLATION)
    expect(m.vmx.vmread32(Vmcs.IDT_VECTORING_INFO)).toBe(0x8000_0b0d)
    expect(m.vmx.vmread32(Vmcs.IDT_VECTORING_ERROR_CODE)).toBe(0x18)
    expect(m.vmx.vmread32(Vmcs.GUEST_PHYSICAL_ADDRESS)).toBe(0x7fff_fffc)
    expect(m.vmx.vmread32(Vmcs.GUEST_LINEAR_ADDRESS)).toBe(0x7fff_fffc)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(0x182)
    expect(m.vmx.vmread32(Vmcs.GUEST_RIP)).toBe(0x1_0000)
  })

  test('an intercepted fault of a delivery; a double fault that exits is not during delivery', () => {
    const m = withTables()
    m.vmx.vmwrite32(Vmcs.EXCEPTION_BITMAP, 1 << 13)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0021)
    expect(exitOf(m, () => undefined)).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_INFO)).toBe(0x8000_0b0d)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_ERROR_CODE)).toBe(0x21 * 8 + 3)
    expect(m.vmx.vmread32(Vmcs.IDT_VECTORING_INFO)).toBe(0x8000_0021)
    m.vmx.vmwrite32(Vmcs.EXCEPTION_BITMAP, 1 << 8)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_INTR_INFO, 0x8000_0b0b)
    m.vmx.vmwrite32(Vmcs.VM_ENTRY_EXCEPTION_ERROR_CODE, 0)
    m.vmx.vmwrite32(Vmcs.GUEST_IDTR_LIMIT, 0)
    expect(exitOf(m, () => undefined)).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(m.vmx.vmread32(Vmcs.VM_EXIT_INTR_INFO) & 0xff).toBe(8)
    expect(m.vmx.vmread32(Vmcs.IDT_VECTORING_INFO)).toBe(0)
    m.vmx.vmwrite32(Vmcs.EXCEPTION_BITMAP, 0)
    expect(exitOf(m, () => m.deliverEvent({ kind: 3, vector: 8, errorCode: 0 }))).toBe(ExitReason.TRIPLE_FAULT)
    expect(m.vmx.vmread32(Vmcs.IDT_VECTORING_INFO)).toBe(0)
  })

  test('a pending single step is a debug exception before the first instruction', () => {
    const m = withTables()
    m.vmx.vmwrite32(Vmcs.EXCEPTION_BITMAP, 1 << 1)
    m.vmx.vmwrite32(Vmcs.GUEST_PENDING_DBG_EXCEPTIONS, 1 << 14)
    expect(exitOf(m, () => expect.fail('an instruction before the trap'))).toBe(ExitReason.EXCEPTION_OR_NMI)
    expect(m.vmx.vmread32(Vmcs.EXIT_QUALIFICATION)).toBe(1 << 14)
    expect(m.vmx.vmread32(Vmcs.GUEST_PENDING_DBG_EXCEPTIONS)).toBe(0)
  })
})

test('what is no VM exit goes through', () => {
  const m = readyMachine()
  m.guest = () => {
    throw new Error('broken')
  }
  expect(() => m.vmx.vmlaunch(1)).toThrow('broken')
  expect(m.nonRoot).toBe(undefined)
  expect(new VmExit(3).qualification).toBe(0n)
})
