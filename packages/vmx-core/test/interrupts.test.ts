import { KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_IRQ_WINDOW_OPEN, KVM_IRQ_ROUTING_MSI, KVM_MP_STATE_HALTED } from '@guestmode/kvm-abi'
import { describe, expect, test } from 'vitest'
import { guest, outputs, values, type Guest } from './guest.ts'

/** Real mode, interrupt vectors 8 and 0x30: each handler says so at port 0x80. */
const HANDLERS = `
  handler8: push ax\n mov al,8\n out 0x80,al\n mov al,0x20\n out 0x20,al\n pop ax\n iret
  handler30: push ax\n mov al,0x30\n out 0x80,al\n pop ax\n iret`
const VECTORS = `xor ax,ax\n mov ds,ax\n mov ss,ax\n mov sp,0x8000
  mov word [8*4],handler8\n mov word [8*4+2],0\n mov word [0x30*4],handler30\n mov word [0x30*4+2],0\n`
/** PIC: vectors from 8, all but IRQ 0 and 1 masked. */
const PIC = `mov al,0x11\n out 0x20,al\n mov al,8\n out 0x21,al\n mov al,4\n out 0x21,al\n mov al,1\n out 0x21,al\n mov al,0xfc\n out 0x21,al\n`

const runUntil = (g: Guest, reason: number): void => {
  expect(g.vcpu.run()).toBe(0)
  expect(g.vcpu.kvmRun.exitReason).toBe(reason)
}

describe('userspace irqchip', () => {
  test('HLT exits; KVM_INTERRUPT injects', () => {
    const g = guest(`${VECTORS} sti\n hlt\n mov al,1\n out 0x80,al\n cli\n hlt\n ${HANDLERS}`)
    runUntil(g, KVM_EXIT_HLT)
    expect(g.vcpu.kvmRun.readyForInterruptInjection).toBe(1)
    expect(g.vcpu.kvmRun.ifFlag).toBe(1)
    g.vcpu.interrupt(0x30)
    expect(values(g)).toEqual([0x30, 1])
    expect(() => g.vcpu.interrupt(256)).toThrow('EINVAL')
  })

  test('request_interrupt_window exits as soon as IF is set and the shadow of STI is over', () => {
    const g = guest(`${VECTORS} cli\n out 0x80,al\n sti\n nop\n nop\n cli\n hlt\n ${HANDLERS}`)
    runUntil(g, KVM_EXIT_IO)
    expect(g.vcpu.kvmRun.readyForInterruptInjection).toBe(0)
    g.vcpu.kvmRun.requestInterruptWindow = 1
    runUntil(g, KVM_EXIT_IRQ_WINDOW_OPEN)
    expect(g.vcpu.kvmRun.readyForInterruptInjection).toBe(1)
    g.vcpu.kvmRun.requestInterruptWindow = 0
    g.vcpu.interrupt(0x30)
    expect(values(g)).toEqual([0x30])
  })

  test('an NMI goes through vector 2, and a second waits for IRET', () => {
    const g = guest(
      `xor ax,ax\n mov ds,ax\n mov ss,ax\n mov sp,0x8000\n mov word [8],nmi\n mov word [10],0\n hlt\n hlt\n nmi: mov al,2\n out 0x80,al\n nop\n mov al,3\n out 0x80,al\n iret`,
    )
    runUntil(g, KVM_EXIT_HLT)
    g.vcpu.nmi()
    g.vcpu.nmi()
    expect(values(g)).toEqual([2, 3, 2, 3])
    expect(g.vcpu.getVcpuEvents().nmi).toMatchObject({ masked: 0, pending: 0 })
  })
})

describe('in-kernel irqchip', () => {
  const setup = { prepare: (vm: Guest['vm']) => vm.createIrqchip() }

  test('an IRQ line through the PIC wakes HLT; the halted vCPU returns EINTR where nothing can wait', () => {
    const g = guest(`${VECTORS} ${PIC} sti\n again: hlt\n jmp again\n ${HANDLERS}`, setup)
    expect(g.vcpu.run()).toBe(-4)
    expect(g.vcpu.halted()).toEqual({ wakeAt: undefined })
    expect(g.vcpu.getMpState()).toBe(KVM_MP_STATE_HALTED)
    g.vm.irqLine(0, 1)
    g.vm.irqLine(0, 0)
    expect(g.vcpu.halted()).toBeUndefined()
    runUntil(g, KVM_EXIT_IO)
    expect(g.vcpu.kvmRun.pioData()[0]).toBe(8)
    expect(g.vcpu.run()).toBe(-4)
    expect(g.vcpu.stats()).toMatchObject({ halt_wakeup: 1 })
  })

  test('KVM_IRQ_LINE_STATUS: delivered, coalesced, masked', () => {
    const g = guest(`${VECTORS} ${PIC} out 0x80,al\n cli\n hlt\n ${HANDLERS}`, setup)
    runUntil(g, KVM_EXIT_IO)
    g.vm.setGsiRouting([
      { gsi: 1, type: 1, irqchip: { irqchip: 0, pin: 1 } },
      { gsi: 5, type: 1, irqchip: { irqchip: 0, pin: 5 } },
    ])
    expect(g.vm.irqLineStatus(1, 1)).toBe(1)
    expect(g.vm.irqLineStatus(1, 1)).toBe(0)
    expect(g.vm.irqLineStatus(5, 1)).toBe(-1)
    expect(g.vm.irqLineStatus(9, 1)).toBe(-1)
    expect(() => g.vm.irqLine(5000, 1)).toThrow('EINVAL')
  })

  test('the wait callback is asked with the deadline', () => {
    const asked: (bigint | undefined)[] = []
    const g = guest(`${VECTORS} ${PIC} sti\n hlt\n cli\n hlt\n ${HANDLERS}`, {
      ...setup,
      options: {
        timebase: 'host',
        clock: { now: () => 5n },
        wait: (deadline) => {
          asked.push(deadline)
          if (asked.length === 1) g.vm.irqLine(0, 1)
          return asked.length === 1 ? 'event' : 'event'
        },
      },
    })
    runUntil(g, KVM_EXIT_IO)
    expect(g.vcpu.run()).toBe(-4)
    expect(asked).toEqual([undefined, undefined])
  })

  test('PIT: periodic ticks at the rate programmed, in virtual time', () => {
    const pit = `mov al,0x34\n out 0x43,al\n mov ax,1193\n out 0x40,al\n mov al,ah\n out 0x40,al\n`
    const g = guest(`${VECTORS} ${PIC} ${pit} sti\n again: hlt\n jmp again\n ${HANDLERS}`, {
      prepare: (vm) => {
        vm.createIrqchip()
        vm.createPit2()
      },
    })
    const before = g.kvm.clock.now()
    for (let i = 0; i < 5; i++) runUntil(g, KVM_EXIT_IO)
    const passed = Number(g.kvm.clock.now() - before)
    expect(passed).toBeGreaterThan(5 * 999_000)
    expect(passed).toBeLessThan(5 * 1_020_000)
    expect(g.vm.getPit2().channels[0]).toMatchObject({ mode: 2, count: 1193 })
  })

  test('local APIC in its page: timer, EOI; MSIs; I/O APIC', () => {
    const g = guest(
      `mov al,0xff\n out 0x21,al\n out 0xa1,al\n mov esp,0x8000\n lidt [idtr]
      mov edi,0xfee00000\n mov dword [edi+0xf0],0x1ff\n mov dword [edi+0x3e0],0xb\n mov dword [edi+0x320],0x40\n mov dword [edi+0x380],100000
      sti\n hlt\n out 0x80,al
      mov esi,0xfec00000\n mov dword [esi],0x1a\n mov dword [esi+0x10],0x41\n hlt\n out 0x80,al\n hlt\n out 0x80,al\n cli\n hlt
      timer: mov al,0x40\n mov dword [edi+0xb0],0\n iretd
      line: mov al,0x41\n mov dword [edi+0xb0],0\n iretd
      msi: mov al,0x42\n mov dword [edi+0xb0],0\n iretd
      align 8\n idt: times 0x40 dq 0
      dw timer, 8, 0x8e00, 0\n dw line, 8, 0x8e00, 0\n dw msi, 8, 0x8e00, 0
      idtr: dw 0x43*8-1\n dd idt\n
      gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff`,
      { bits: 32, ...setup },
    )
    const sregs = g.vcpu.getSregs()
    g.vcpu.setSregs({ ...sregs, gdt: { base: BigInt(g.labels['gdt']!), limit: 23 } })
    runUntil(g, KVM_EXIT_IO)
    expect(g.vcpu.getRegs().rax & 0xffn).toBe(0x40n)
    expect(g.vcpu.run()).toBe(-4)
    g.vm.irqLine(5, 1)
    runUntil(g, KVM_EXIT_IO)
    expect(g.vcpu.getRegs().rax & 0xffn).toBe(0x41n)
    expect(g.vcpu.run()).toBe(-4)
    expect(g.vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x42 })).toBe(1)
    runUntil(g, KVM_EXIT_IO)
    expect(g.vcpu.getRegs().rax & 0xffn).toBe(0x42n)
  })

  test('irqfd raises its GSI; routing to an MSI', () => {
    const g = guest(`${VECTORS} ${PIC} sti\n again: hlt\n jmp again\n ${HANDLERS}`, setup)
    expect(g.vcpu.run()).toBe(-4)
    const event = g.kvm.createEventFd()
    g.vm.irqfd({ fd: event.fd, gsi: 0 })
    expect(() => g.vm.irqfd({ fd: event.fd, gsi: 0 })).toThrow('EBUSY')
    event.signal()
    runUntil(g, KVM_EXIT_IO)
    expect(g.vcpu.kvmRun.pioData()[0]).toBe(8)
    expect(() =>
      g.vm.setGsiRouting([
        { gsi: 1, type: KVM_IRQ_ROUTING_MSI, msi: { addressLo: 0xfee00000, data: 0x30 } },
        { gsi: 1, type: 1, irqchip: { irqchip: 0, pin: 1 } },
      ]),
    ).toThrow('EINVAL')
  })
})

describe('time and signals', () => {
  test('interruptAt and kick end KVM_RUN with EINTR', () => {
    const g = guest('again: jmp again')
    g.vcpu.interruptAt = g.kvm.clock.now() + 1_000_000n
    expect(g.vcpu.run()).toBe(-4)
    expect(g.kvm.clock.now()).toBeGreaterThanOrEqual(1_000_000n)
    expect(g.kvm.clock.now()).toBeLessThan(1_010_000n)
    expect(g.vcpu.interruptAt).toBeUndefined()
    g.vcpu.kick()
    expect(g.vcpu.run()).toBe(-4)
  })

  test('virtual time jumps over a halt', () => {
    const g = guest(`hlt`, { prepare: (vm) => vm.createIrqchip() })
    g.vcpu.interruptAt = 5_000_000_000n
    expect(g.vcpu.run()).toBe(-4)
    expect(g.kvm.clock.now()).toBeGreaterThanOrEqual(5_000_000_000n)
  })

  test('RDTSC follows the clock; IA32_TSC can be set', () => {
    const g = guest('rdtsc\n hlt', { bits: 32 })
    g.vcpu.setMsrs([{ index: 0x10, data: 1_000_000n }])
    outputs(g)
    expect(g.vcpu.getRegs().rax).toBeGreaterThanOrEqual(1_000_000n)
    expect(g.vcpu.getRegs().rax).toBeLessThan(1_010_000n)
  })
})
