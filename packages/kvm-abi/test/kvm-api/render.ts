import { REQUESTS } from '../../src/index.ts'
import type { Descriptor, RequestInfo } from '../../src/index.ts'
import * as exits from '../../src/exits.ts'
import { EXITS, NOTES, UNSERVED } from './notes.ts'

const SECTIONS: readonly { title: string; on: readonly Descriptor[] }[] = [
  { title: 'On the system descriptor (`/dev/kvm`)', on: ['system'] },
  { title: 'On a VM', on: ['vm'] },
  { title: 'On a vCPU', on: ['vcpu'] },
]

const DESCRIPTOR_NAMES: Readonly<Record<Descriptor, string>> = { system: 'system', vm: 'VM', vcpu: 'vCPU' }

const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, '0')}`

/** Requests whose number does not tell the truth about their argument. */
const DIRECTIONS: Readonly<Record<string, string>> = { KVM_SET_IRQCHIP: 'in', KVM_REINJECT_CONTROL: 'in' }

/** [Linux include/uapi/asm-generic/ioctl.h]: the two top bits tell whether userspace writes (1) or reads (2) the argument. */
function directionOf({ name, number }: RequestInfo): string {
  return DIRECTIONS[name] ?? ['', 'in', 'out', 'in and out'][number >>> 30] ?? ''
}

function argumentOf(info: RequestInfo): string {
  const { argument } = info
  if (argument === undefined) return 'none'
  if (argument === 'value') return 'by value'
  const type = argument.cName.startsWith('__') ? argument.cName : `struct ${argument.cName}`
  const more = 'elementsName' in argument ? ' and its elements' : ''
  return `\`${type}\`, ${argument.size} bytes${more}, ${directionOf(info)}`
}

function entry(info: RequestInfo): string {
  const note = NOTES[info.name]
  const lines = [
    `### ${info.name}`,
    '',
    `\`${hex(info.number, 8)}\` · on ${info.on.map((on) => DESCRIPTOR_NAMES[on]).join(', ')} · argument: ${argumentOf(info)} · typed: \`${note.method}\``,
    '',
    note.does,
  ]
  const errors = Object.entries(note.errors ?? {})
  if (errors.length > 0) lines.push('', ...errors.map(([errno, when]) => `- \`${errno}\`: ${when}`))
  if (note.engine !== undefined) lines.push('', `*Engines in the VMM's process:* ${note.engine}`)
  const unserved = UNSERVED[info.name]
  if (unserved !== undefined) lines.push('', `*Not served by our engine:* ${unserved}.`)
  return lines.join('\n')
}

function overview(): string {
  const rows = REQUESTS.map((info) => {
    const on = info.on.map((descriptor) => DESCRIPTOR_NAMES[descriptor]).join(', ')
    return `| [${info.name}](#${info.name.toLowerCase()}) | \`${hex(info.number, 8)}\` | ${on} | ${argumentOf(info)} |`
  })
  return ['| request | number | on | argument |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function exitTable(): string {
  const numbers = exits as unknown as Record<string, number>
  const rows = Object.entries(EXITS).map(
    ([name, { member, means }]) => `| ${name} | ${numbers[name]} | ${member === undefined ? '' : `\`${member}\``} | ${means} |`,
  )
  return ['| reason | number | in `kvmRun` | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

function unservedList(): string {
  const links = Object.keys(UNSERVED).map((name) => `[${name}](#${name.toLowerCase()})`)
  return `${links.slice(0, -1).join(', ')} and ${links.at(-1)}`
}

const INTRODUCTION = `# The KVM interface

<!-- Made by packages/kvm-abi/test/kvm-api/write.ts from the request table and notes.ts. Change those, then run it. -->

An engine takes requests on three kinds of descriptor: the system, a VM, a vCPU. \`@guestmode/kvm-abi\` has them twice:

- the **floor**, \`fd.ioctl(number, argument)\`, as the system call: at least 0, or a negative errno. What would be a pointer is a \`Uint8Array\`,
  read and written in place. This is all that an engine implements (\`KvmFloor\`).
- the **typed face**, \`Kvm\`, \`KvmVm\`, \`KvmVcpu\`: a method for each request, with plain objects. It throws \`KvmError\`, whose \`errno\`, \`code\` and
  \`request\` say what failed. It is written once, over the floor, for all engines (\`new KvmFace(floor)\`).

The low byte of a number is ambiguous (0xa0 is KVM_SET_PIT2 on a VM and KVM_SET_VCPU_EVENTS on a vCPU): an engine dispatches on all 32 bits, for
each kind of descriptor.

Every request can fail with:

- \`EBADF\`: the descriptor is closed
- \`EFAULT\`: the argument should be a pointer, and is missing or too short
- \`EINVAL\` on the system descriptor and on a vCPU, \`ENOTTY\` on a VM: the request is unknown there

Beside requests, an engine stands in for what a process gets from its kernel:

- \`vm.allocateMemory(bytes)\`: memory with an address that KVM_SET_USER_MEMORY_REGION takes. Get \`bytes\` anew after each call to the engine, and report
  writes with \`written\`: the engine drops what it derived from the old bytes.
- \`vcpu.kvmRun\`: the mapping of a vCPU.
- \`vcpu.kick()\` and \`vcpu.interruptAt\`: a signal sent to the vCPU's thread, and a timer's.
- \`vcpu.halted()\`: what a vCPU waits for that executed HLT, in an engine that returns EINTR since it cannot block.
- \`kvm.createEventFd()\`: eventfds for KVM_IRQFD and KVM_IOEVENTFD.
- \`vm.trace\`: Linux's trace points; \`vm.stats()\`, \`vcpu.stats()\`: Linux's counters.

Whether an engine has a request is a matter of \`KVM_CHECK_EXTENSION\`. Ours does not serve ${unservedList()}. What else it leaves out is in [errata](errata.md).`

export function kvmApi(): string {
  const sections = SECTIONS.map(({ title, on }) => {
    const entries = REQUESTS.filter((info) => info.on[0] === on[0])
    return [`## ${title}`, ...entries.map(entry)].join('\n\n')
  })
  return [INTRODUCTION, '## All requests', overview(), '## Why KVM_RUN returned', exitTable(), ...sections].join('\n\n') + '\n'
}
