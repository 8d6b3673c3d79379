import {
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_MMIO,
  KVM_INTERNAL_ERROR_EMULATION,
  KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
} from '@guestmode/kvm-abi'
import { disassemble, evaluate, Exception, Vmcs, type EvalResult, type Insn } from '@guestmode/x86'
import { afterInstruction } from '../debug.ts'
import { isInternal, readRegister, writeRegister } from '../devices/mmio.ts'
import { queueException, queuePageFault } from '../events/exceptions.ts'
import { instructionDone } from '../instruction.ts'
import { refreshWalker } from '../modes/paging.ts'
import type { Vcpu } from '../vcpu.ts'
import { codeLinear, fetchInstruction } from './fetch.ts'
import { GuestMachine, NotEmulated } from './guest-machine.ts'

/** Iterations of a repeated instruction between two looks at interrupts. */
const MAX_ITERATIONS = 256

/**
 * Emulates the instruction at RIP, whose access has no memory to go to: a device's registers, or read-only memory. `gpa`: where the
 * access went, if known. False: the VMM has to do something first.
 */
export function emulateInstruction(vcpu: Vcpu, gpa = -1): boolean {
  vcpu.counters.insn_emulation++
  refreshWalker(vcpu)
  const fetched = fetchInstruction(vcpu)
  if (fetched.kind === 'page-fault') {
    queuePageFault(vcpu, fetched.linear, fetched.errorCode)
    return true
  }
  if (fetched.kind === 'failed') return emulationFailed(vcpu, fetched.bytes, 'no instruction')
  const { insn } = fetched
  if (gpa >= 0 && isInternal(vcpu, gpa)) {
    const result = moveRegister(vcpu, insn, gpa)
    if (result !== undefined) return result
  }
  for (let i = 0; i < MAX_ITERATIONS; i++) {
    const result = step(vcpu, insn)
    if (result !== 'again') return result
  }
  return true
}

/** MOV of 32 bits between a register and the local or I/O APIC, which is what drivers do: no need for the evaluator. */
function moveRegister(vcpu: Vcpu, insn: Insn, gpa: number): boolean | undefined {
  const [to, from] = insn.operands
  if (insn.mnemonic !== 'MOV' || insn.operandSize !== 32 || to === undefined || from === undefined) return undefined
  const { processor } = vcpu
  const next = () => instructionDone(vcpu, processor.vmread(Vmcs.GUEST_RIP) + BigInt(insn.length))
  if (to.kind === 'mem' && to.width === 32) {
    if (from.kind === 'imm') writeRegister(vcpu, gpa, from.value >>> 0)
    else if (from.kind === 'reg' && from.cls === 'gpr' && from.index !== 4)
      writeRegister(vcpu, gpa, Number(processor.registers.gpr(from.index) & 0xffff_ffffn))
    else return undefined
    return next()
  }
  if (from.kind === 'mem' && from.width === 32 && to.kind === 'reg' && to.cls === 'gpr' && to.index !== 4) {
    processor.registers.setGpr(to.index, BigInt(readRegister(vcpu, gpa)))
    return next()
  }
  return undefined
}

function tryEvaluate(insn: Insn, machine: GuestMachine): EvalResult {
  try {
    return evaluate(insn, machine)
  } catch (reason) {
    if (reason instanceof NotEmulated) return { kind: 'unsupported', mnemonic: insn.mnemonic }
    throw reason
  }
}

function step(vcpu: Vcpu, insn: Insn): boolean | 'again' {
  const { processor, mmio } = vcpu
  const machine = new GuestMachine(vcpu)
  const rip = processor.vmread(Vmcs.GUEST_RIP)
  const result = tryEvaluate(insn, machine)
  switch (result.kind) {
    case 'done': {
      machine.finish()
      mmio.answers.length = 0
      const isRepeating = result.nextIp === rip && insn.rep !== 0
      const goesOn = isRepeating || instructionDone(vcpu, result.nextIp)
      if (mmio.writes.length > 0) return mmioExit(vcpu, !goesOn)
      return isRepeating ? 'again' : goesOn
    }
    case 'retry':
      return askForRead(vcpu)
    case 'fault':
      mmio.clear()
      if (result.vector === Exception.PF) queuePageFault(vcpu, machine.faultLinear, result.errorCode ?? 0)
      else queueException(vcpu, result.vector, result.errorCode)
      return true
    case 'unsupported':
      mmio.clear()
      return emulationFailed(vcpu, undefined, disassemble(insn, processor.vmread(Vmcs.GUEST_RIP)))
  }
}

/** The instruction is evaluated again once the VMM has put the data in place. */
function askForRead(vcpu: Vcpu): false {
  const { mmio, run } = vcpu
  const wanted = mmio.wanted!
  vcpu.counters.mmio_exits++
  run.exitReason = KVM_EXIT_MMIO
  run.mmio.physAddr = BigInt(wanted.gpa)
  run.mmio.len = wanted.size
  run.mmio.isWrite = 0
  vcpu.completion = () => {
    let value = 0n
    for (let i = wanted.size - 1; i >= 0; i--) value = (value << 8n) | BigInt(run.mmio.data[i]!)
    mmio.wanted = undefined
    mmio.answers.push({ ...wanted, value })
    return emulateInstruction(vcpu)
  }
  return false
}

/** Hands the writes of an instruction that is done to the VMM, one at each KVM_RUN; after the last, the debugger's step may be due. */
function mmioExit(vcpu: Vcpu, stepped: boolean): false {
  const { mmio, run } = vcpu
  const { gpa, size, value } = mmio.writes.shift()!
  vcpu.counters.mmio_exits++
  run.exitReason = KVM_EXIT_MMIO
  run.mmio.physAddr = BigInt(gpa)
  run.mmio.len = size
  run.mmio.isWrite = 1
  for (let i = 0; i < 8; i++) run.mmio.data[i] = i < size ? Number((value >> BigInt(8 * i)) & 0xffn) : 0
  if (mmio.writes.length > 0) vcpu.completion = () => mmioExit(vcpu, stepped)
  else if (stepped) vcpu.completion = () => afterInstruction(vcpu)
  return false
}

export function emulationFailed(vcpu: Vcpu, bytes: Uint8Array | undefined, what: string): false {
  const { run, processor } = vcpu
  vcpu.counters.insn_emulation_fail++
  const fetched = bytes ?? instructionBytes(vcpu)
  vcpu.vm.engine.log(`vCPU ${vcpu.id} cannot emulate at 0x${processor.vmread(Vmcs.GUEST_RIP).toString(16)}: ${what}`)
  vcpu.vm.trace?.({ name: 'kvm_emulate_insn', rip: processor.vmread(Vmcs.GUEST_RIP), insn: fetched.slice(), failed: true })
  run.exitReason = KVM_EXIT_INTERNAL_ERROR
  run.emulationFailure.suberror = KVM_INTERNAL_ERROR_EMULATION
  run.emulationFailure.flags = fetched.length > 0 ? KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES : 0n
  run.emulationFailure.insnSize = fetched.length
  run.emulationFailure.ndata = 3
  run.emulationFailure.insnBytes.fill(0)
  run.emulationFailure.insnBytes.set(fetched.subarray(0, 15))
  return false
}

function instructionBytes(vcpu: Vcpu): Uint8Array {
  const { walker } = vcpu
  const linear = codeLinear(vcpu)
  const found = walker.walk(Number(linear >> 32n), Number(linear & 0xffff_ffffn), 0, false)
  return (found ? vcpu.vm.guest.bytes(walker.gpa, 15) : undefined) ?? new Uint8Array()
}
