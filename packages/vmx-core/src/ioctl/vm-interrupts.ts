import {
  EBADF,
  EBUSY,
  EEXIST,
  EINVAL,
  ENOENT,
  ENXIO,
  KVM_CREATE_IRQCHIP,
  KVM_CREATE_PIT2,
  KVM_GET_IRQCHIP,
  KVM_GET_PIT2,
  KVM_IOEVENTFD,
  KVM_IOEVENTFD_ARGUMENT,
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
  KVM_IRQCHIP,
  KVM_IRQCHIP_IOAPIC,
  KVM_IRQCHIP_PIC_MASTER,
  KVM_IRQCHIP_PIC_SLAVE,
  KVM_IRQFD,
  KVM_IRQFD_ARGUMENT,
  KVM_IRQFD_FLAG_DEASSIGN,
  KVM_IRQFD_FLAG_RESAMPLE,
  KVM_IRQ_LEVEL,
  KVM_IRQ_LEVEL_STATUS,
  KVM_IRQ_LINE,
  KVM_IRQ_LINE_STATUS,
  KVM_IRQ_ROUTING,
  KVM_MSI,
  KVM_MSI_VALID_DEVID,
  KVM_PIT_CONFIG,
  KVM_PIT_SPEAKER_DUMMY,
  KVM_PIT_STATE2,
  KVM_REINJECT_CONTROL,
  KVM_REINJECT_CONTROL_ARGUMENT,
  KVM_SET_GSI_ROUTING,
  KVM_SET_IRQCHIP,
  KVM_SET_PIT2,
  KVM_SIGNAL_MSI,
  type KvmIrqRoutingEntry,
} from '@guestmode/kvm-abi'
import { InterruptRouter, IrqSource } from '../irqchip/irqchip.ts'
import { Pit } from '../irqchip/pit.ts'
import { MAX_GSI, msiMessage, parseRouting } from '../irqchip/routing.ts'
import type { Vm } from '../vm.ts'
import { decode, encode, Errno, list, type Argument, type Handlers } from './argument.ts'

function router(vm: Vm, errno: number): InterruptRouter {
  if (vm.router === undefined) throw new Errno(errno)
  return vm.router
}

function chips(vm: Vm): NonNullable<InterruptRouter['chips']> {
  const found = vm.router?.chips
  if (found === undefined) throw new Errno(ENXIO)
  return found
}

function pit(vm: Vm): Pit {
  if (vm.pit === undefined) throw new Errno(ENXIO)
  return vm.pit
}

function createIrqchip(vm: Vm): number {
  if (vm.router !== undefined) return -EEXIST
  if (vm.vcpu !== undefined) return -EINVAL
  vm.router = new InterruptRouter(vm, 'kernel')
  vm.router.attachPorts(vm.ports)
  return 0
}

function irqLine(vm: Vm, argument: Argument): number {
  const { irq, level } = decode(argument, KVM_IRQ_LEVEL)
  const target = router(vm, ENXIO)
  if (irq >= MAX_GSI) throw new Errno(EINVAL)
  return target.setIrq(irq, level !== 0, IrqSource.userspace)
}

function getIrqchip(vm: Vm, argument: Argument): number {
  const { chipId } = decode(argument, KVM_IRQCHIP)
  const { pic, ioapic } = chips(vm)
  switch (chipId) {
    case KVM_IRQCHIP_PIC_MASTER:
      return encode(argument, KVM_IRQCHIP, { chipId, pic: pic.master.save() })
    case KVM_IRQCHIP_PIC_SLAVE:
      return encode(argument, KVM_IRQCHIP, { chipId, pic: pic.slave.save() })
    case KVM_IRQCHIP_IOAPIC:
      return encode(argument, KVM_IRQCHIP, { chipId, ioapic: { ...ioapic.save(), baseAddress: 0xfec0_0000n } })
    default:
      return -EINVAL
  }
}

function setIrqchip(vm: Vm, argument: Argument): number {
  const state = decode(argument, KVM_IRQCHIP)
  const { pic, ioapic } = chips(vm)
  switch (state.chipId) {
    case KVM_IRQCHIP_PIC_MASTER:
      pic.master.load({ ...pic.master.save(), ...state.pic })
      return 0
    case KVM_IRQCHIP_PIC_SLAVE:
      pic.slave.load({ ...pic.slave.save(), ...state.pic })
      return 0
    case KVM_IRQCHIP_IOAPIC: {
      const { ioregsel, id, irr, redirtbl } = state.ioapic
      ioapic.load({ version: 1, ioregsel, id, irr, redirtbl })
      return 0
    }
    default:
      return -EINVAL
  }
}

function createPit(vm: Vm, argument: Argument): number {
  const { flags } = decode(argument, KVM_PIT_CONFIG)
  if ((flags & ~KVM_PIT_SPEAKER_DUMMY) !== 0) return -EINVAL
  if (vm.pit !== undefined) return -EEXIST
  if (vm.router?.chips === undefined) return -ENOENT
  vm.pit = new Pit(vm.time, vm.router)
  vm.pit.attachPorts(vm.ports, flags, () => vm.timersChanged())
  vm.timersChanged()
  return 0
}

function setRouting(vm: Vm, argument: Argument): number {
  const target = router(vm, EINVAL)
  const routing = parseRouting(list(argument, KVM_IRQ_ROUTING) as KvmIrqRoutingEntry[], target.chips !== undefined)
  if (routing === undefined) return -EINVAL
  target.routing = routing
  return 0
}

function signalMsi(vm: Vm, argument: Argument): number {
  const { addressLo, addressHi, data, flags } = decode(argument, KVM_MSI)
  if ((flags & ~KVM_MSI_VALID_DEVID) !== 0) return -EINVAL
  return Math.max(router(vm, EINVAL).deliver(msiMessage(addressLo, addressHi, data)), 0)
}

function irqfd(vm: Vm, argument: Argument): number {
  const { fd, gsi, flags, resamplefd } = decode(argument, KVM_IRQFD_ARGUMENT)
  if ((flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE)) !== 0) return -EINVAL
  const target = router(vm, EINVAL)
  const event = vm.engine.eventFd(fd)
  if (event === undefined) return -EBADF
  const tied = vm.irqfds.get(fd)
  if ((flags & KVM_IRQFD_FLAG_DEASSIGN) !== 0) {
    if (tied?.gsi === gsi) {
      tied.close()
      vm.irqfds.delete(fd)
    }
    return 0
  }
  if (event.irqfd !== undefined) return -EBUSY
  const resample = (flags & KVM_IRQFD_FLAG_RESAMPLE) !== 0 ? vm.engine.eventFd(resamplefd) : undefined
  if ((flags & KVM_IRQFD_FLAG_RESAMPLE) !== 0 && resample === undefined) return -EBADF
  let stop = () => {}
  if (resample === undefined) {
    event.irqfd = () => {
      target.setIrq(gsi, true, IrqSource.irqfd)
      target.setIrq(gsi, false, IrqSource.irqfd)
    }
  } else {
    const acknowledged = (kind: 'pic' | 'ioapic', pin: number) => {
      const targets = target.routing.get(gsi) ?? []
      if (
        !targets.some(
          (one) =>
            (one.kind === 'pic' && kind === 'pic' && one.irq === pin) ||
            (one.kind === 'ioapic' && kind === 'ioapic' && one.pin === pin),
        )
      )
        return
      target.setIrq(gsi, false, IrqSource.irqfd)
      resample.signal()
    }
    event.irqfd = () => void target.setIrq(gsi, true, IrqSource.irqfd)
    target.acknowledged.add(acknowledged)
    stop = () => void target.acknowledged.delete(acknowledged)
  }
  vm.irqfds.set(fd, {
    gsi,
    close: () => {
      event.irqfd = undefined
      stop()
    },
  })
  return 0
}

const IOEVENTFD_FLAGS = KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN

function ioeventfd(vm: Vm, argument: Argument): number {
  const { datamatch, addr, len, fd, flags } = decode(argument, KVM_IOEVENTFD_ARGUMENT)
  if ((flags & ~IOEVENTFD_FLAGS) !== 0 || ![0, 1, 2, 4, 8].includes(len)) return -EINVAL
  if (len === 0 && (flags & KVM_IOEVENTFD_FLAG_DATAMATCH) !== 0) return -EINVAL
  if (addr + BigInt(len) > 1n << 64n) return -EINVAL
  const event = vm.engine.eventFd(fd)
  if (event === undefined) return -EBADF
  const events = (flags & KVM_IOEVENTFD_FLAG_PIO) !== 0 ? vm.portEvents : vm.memoryEvents
  const match = {
    address: Number(addr),
    length: len,
    datamatch: (flags & KVM_IOEVENTFD_FLAG_DATAMATCH) !== 0 ? datamatch : undefined,
    event,
  }
  if ((flags & KVM_IOEVENTFD_FLAG_DEASSIGN) !== 0) return events.remove(match) ? 0 : -ENOENT
  return events.add(match) ? 0 : -EEXIST
}

export const interruptHandlers: Handlers<Vm> = {
  [KVM_CREATE_IRQCHIP]: createIrqchip,
  [KVM_IRQ_LINE](vm, argument) {
    irqLine(vm, argument)
    return 0
  },
  [KVM_IRQ_LINE_STATUS]: (vm, argument) => encode(argument, KVM_IRQ_LEVEL_STATUS, { status: irqLine(vm, argument) }),
  [KVM_GET_IRQCHIP]: getIrqchip,
  [KVM_SET_IRQCHIP]: setIrqchip,
  [KVM_CREATE_PIT2]: createPit,
  [KVM_GET_PIT2]: (vm, argument) => encode(argument, KVM_PIT_STATE2, pit(vm).save()),
  [KVM_SET_PIT2](vm, argument) {
    pit(vm).load(decode(argument, KVM_PIT_STATE2))
    vm.timersChanged()
    return 0
  },
  [KVM_REINJECT_CONTROL](vm, argument) {
    pit(vm).reinject = decode(argument, KVM_REINJECT_CONTROL_ARGUMENT).pitReinject !== 0
    return 0
  },
  [KVM_SET_GSI_ROUTING]: setRouting,
  [KVM_SIGNAL_MSI]: signalMsi,
  [KVM_IRQFD]: irqfd,
  [KVM_IOEVENTFD]: ioeventfd,
}
