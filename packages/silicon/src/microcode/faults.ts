import { Exception, SELECTOR_RPL } from '@guestmode/x86'
import { GuestFault } from '../cpu/events.ts'

/** Faults as expressions: `throw gp(0)`. A selector in an error code has no RPL. [SDM3 6.13 "Error Code"] */

export const ud = (): GuestFault => new GuestFault(Exception.UD)
export const gp = (errorCode: number): GuestFault => new GuestFault(Exception.GP, errorCode)
export const ss = (errorCode: number): GuestFault => new GuestFault(Exception.SS, errorCode)
export const ts = (errorCode: number): GuestFault => new GuestFault(Exception.TS, errorCode)
export const np = (errorCode: number): GuestFault => new GuestFault(Exception.NP, errorCode)

export const selectorCode = (selector: number): number => selector & ~SELECTOR_RPL & 0xffff
