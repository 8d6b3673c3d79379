import * as requests from './requests.ts'

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(requests)
    .filter(([name, number]) => name.startsWith('KVM_') && name !== 'KVM_API_VERSION' && typeof number === 'number')
    .map(([name, number]) => [number as number, name]),
)

/** `KVM_GET_REGS` for 0x8090ae81; a number without a name here is shown in hex. */
export function requestName(request: number): string {
  return NAMES.get(request) ?? `ioctl 0x${request.toString(16)}`
}
