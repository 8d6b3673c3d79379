import { EINVAL, ENOTTY } from '@guestmode/kvm-abi'
import type { Engine } from '../kvm.ts'
import type { Vcpu } from '../vcpu.ts'
import type { Vm } from '../vm.ts'
import { dispatch, type Argument } from './argument.ts'
import { systemHandlers } from './system.ts'
import { vcpuHandlers } from './vcpu.ts'
import { vmHandlers } from './vm.ts'

export const systemIoctl = (engine: Engine, request: number, argument: Argument): number =>
  dispatch('system', systemHandlers, engine, request, argument, EINVAL)

export const vmIoctl = (vm: Vm, request: number, argument: Argument): number =>
  dispatch('vm', vmHandlers, vm, request, argument, ENOTTY)

export const vcpuIoctl = (vcpu: Vcpu, request: number, argument: Argument): number =>
  dispatch('vcpu', vcpuHandlers, vcpu, request, argument, EINVAL)
