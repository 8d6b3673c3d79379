import {
  cpuState,
  CR0_PG,
  CR4_PAE,
  EFER_LMA,
  EFER_LME,
  ENTRY_IA32E_MODE_GUEST,
  ENTRY_LOAD_DEBUG_CONTROLS,
  ENTRY_LOAD_EFER,
  ENTRY_LOAD_PAT,
  EXIT_SAVE_DEBUG_CONTROLS,
  EXIT_SAVE_EFER,
  EXIT_SAVE_PAT,
  SECONDARY_EPT,
  SEG_SS,
} from '@guestmode/x86'
import type { VmxHost } from './host.ts'
import type { CurrentVmcs } from './vmcs.ts'
import { field } from './vmcs-layout.ts'

/** Guest state that entries load and exits save only by a control, so that it is copied. */

const f = cpuState.fields
const dr7 = f.dr.offset + 7 * 8

/** Copies a field into the CPU state; whether that changed anything. */
function load(host: VmxHost, vmcs: CurrentVmcs, number: number, offset: number): boolean {
  const { u32 } = host.mem
  const at = (host.state.base + offset) >> 2
  const low = vmcs.low(number)
  const high = vmcs.high(number)
  if (u32[at] === low && u32[at + 1] === high) return false
  u32[at] = low
  u32[at + 1] = high
  return true
}

function save(host: VmxHost, vmcs: CurrentVmcs, number: number, offset: number): void {
  const { u32 } = host.mem
  const at = (host.state.base + offset) >> 2
  vmcs.store(number, u32[at]!, u32[at + 1]!)
}

/** [SDM3 27.3.2.1 "Loading Guest Control Registers, Debug Registers, and MSRs"] Whether what the engine caches of the mode has changed. */
export function loadOptionalState(host: VmxHost, vmcs: CurrentVmcs, entry: number): boolean {
  let changed = false
  if ((entry & ENTRY_LOAD_DEBUG_CONTROLS) !== 0) {
    changed = load(host, vmcs, field.GUEST_DR7, dr7) || changed
    load(host, vmcs, field.GUEST_IA32_DEBUGCTL, f.debugctl.offset)
  }
  if ((entry & ENTRY_LOAD_PAT) !== 0) load(host, vmcs, field.GUEST_IA32_PAT, f.pat.offset)
  if ((entry & ENTRY_LOAD_EFER) !== 0) return load(host, vmcs, field.GUEST_IA32_EFER, f.efer.offset) || changed
  const { u32 } = host.mem
  const at = (host.state.base + f.efer.offset) >> 2
  const old = u32[at]!
  const long = (entry & ENTRY_IA32E_MODE_GUEST) !== 0
  let efer = long ? old | EFER_LMA : old & ~EFER_LMA
  if ((vmcs.low(field.GUEST_CR0) & CR0_PG) !== 0) efer = long ? efer | EFER_LME : efer & ~EFER_LME
  u32[at] = efer
  return efer >>> 0 !== old || changed
}

/** [SDM3 28.3.1 "Saving Control Registers, Debug Registers, and MSRs"] */
export function saveOptionalState(host: VmxHost, vmcs: CurrentVmcs, exit: number): void {
  if ((exit & EXIT_SAVE_DEBUG_CONTROLS) !== 0) {
    save(host, vmcs, field.GUEST_DR7, dr7)
    save(host, vmcs, field.GUEST_IA32_DEBUGCTL, f.debugctl.offset)
  }
  if ((exit & EXIT_SAVE_PAT) !== 0) save(host, vmcs, field.GUEST_IA32_PAT, f.pat.offset)
  if ((exit & EXIT_SAVE_EFER) !== 0) save(host, vmcs, field.GUEST_IA32_EFER, f.efer.offset)
  const entry = vmcs.low(field.VM_ENTRY_CONTROLS)
  const long = (host.mem.u32[(host.state.base + f.efer.offset) >> 2]! & EFER_LMA) !== 0
  const updated = (long ? entry | ENTRY_IA32E_MODE_GUEST : entry & ~ENTRY_IA32E_MODE_GUEST) >>> 0
  if (updated !== entry) vmcs.store(field.VM_ENTRY_CONTROLS, updated, 0)
}

/** CPL is SS.DPL. [SDM3 25.4.1 "Guest Register State"] */
export function loadPrivilege(host: VmxHost): void {
  host.state.cpl = (host.state.segAccess.get(SEG_SS) >>> 5) & 3
}

/** The guest uses PAE paging under EPT, so that exits save its PDPTEs. */
export function savesPdptes(host: VmxHost, secondary: number): boolean {
  const { u32 } = host.mem
  const { base } = host.state
  return (
    (secondary & SECONDARY_EPT) !== 0 &&
    (u32[(base + f.cr0.offset) >> 2]! & CR0_PG) !== 0 &&
    (u32[(base + f.cr4.offset) >> 2]! & CR4_PAE) !== 0 &&
    (u32[(base + f.efer.offset) >> 2]! & EFER_LMA) === 0
  )
}

/** Our PDPTEs are those in memory. */
export function savePdptes(host: VmxHost, vmcs: CurrentVmcs): void {
  const { mem, walker } = host
  const table = (vmcs.low(field.GUEST_CR3) & 0xffff_ffe0) >>> 0
  for (let i = 0; i < 4; i++) {
    const hpa = walker.walkPhysical(table + i * 8)
    const isMemory = hpa >= 0 && hpa < mem.physSize
    const at = (mem.physBase + hpa) >> 2
    vmcs.store(field.GUEST_PDPTR0 + i, isMemory ? mem.u32[at]! : 0, isMemory ? mem.u32[at + 1]! : 0)
  }
}
