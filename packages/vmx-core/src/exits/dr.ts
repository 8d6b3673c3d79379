import { CR4_DE, DR7_GD, guestAccess, SEG_SS, Vmcs } from '@guestmode/x86'
import { readBreakpoint, readDr7, writeBreakpoint, writeDr7 } from '../debug.ts'
import { queueDebug, queueGp, queueUd } from '../events/exceptions.ts'
import { skipInstruction } from '../instruction.ts'
import { readCr4 } from '../modes/control-registers.ts'
import type { Vcpu } from '../vcpu.ts'

const RSP = 4
const DR6_BD = 1 << 13

/** Exit qualification for MOV DR; it exits only while a debugger uses the registers. [SDM3 Table 28-4] */
export function handleDr(vcpu: Vcpu): boolean {
  const { processor } = vcpu
  const qualification = processor.vmread32(Vmcs.EXIT_QUALIFICATION)
  let dr = qualification & 7
  const gpr = (qualification >> 8) & 15
  if (dr === 4 || dr === 5) {
    if ((readCr4(vcpu) & CR4_DE) !== 0) {
      queueUd(vcpu)
      return true
    }
    dr += 2
  }
  if (((processor.vmread32(guestAccess(SEG_SS)) >> 5) & 3) !== 0) {
    queueGp(vcpu)
    return true
  }
  if ((readDr7(vcpu) & BigInt(DR7_GD)) !== 0n) {
    writeDr7(vcpu, readDr7(vcpu) & ~BigInt(DR7_GD))
    queueDebug(vcpu, DR6_BD)
    return true
  }
  const isRead = (qualification & 0x10) !== 0
  if (isRead) {
    const value = dr === 6 ? processor.registers.dr(6) : dr === 7 ? readDr7(vcpu) : readBreakpoint(vcpu, dr as 0 | 1 | 2 | 3)
    if (gpr === RSP) processor.vmwrite(Vmcs.GUEST_RSP, value)
    else processor.registers.setGpr(gpr, value)
    return skipInstruction(vcpu)
  }
  const value = gpr === RSP ? processor.vmread(Vmcs.GUEST_RSP) : processor.registers.gpr(gpr)
  if (dr >= 6 && value >> 32n !== 0n) {
    queueGp(vcpu)
    return true
  }
  if (dr === 6) processor.registers.setDr(6, (value & 0xe00fn) | 0xffff_0ff0n)
  else if (dr === 7) writeDr7(vcpu, value)
  else writeBreakpoint(vcpu, dr as 0 | 1 | 2 | 3, value)
  return skipInstruction(vcpu)
}
