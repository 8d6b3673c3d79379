import { INTR_INFO_VALID } from '@guestmode/x86'
import { field } from '../vmcs-layout.ts'
import { firstFailure, type EntryCheck, type EntryContext } from './check.ts'
import { guestNonRegisterChecks, guestPointerChecks, guestRflagsChecks, guestRipChecks } from './guest-non-register.ts'
import { guestRegisterChecks } from './guest-registers.ts'
import { guestSegmentChecks } from './guest-segments.ts'

/** [SDM3 27.3.1 "Checks on the Guest State Area"], all of it. */
export const guestStateChecks: readonly EntryCheck[] = [
  ...guestRegisterChecks,
  ...guestSegmentChecks,
  ...guestRipChecks,
  ...guestRflagsChecks,
  ...guestNonRegisterChecks,
  ...guestPointerChecks,
]

/** What an entry checks when the host has only written fields that change between most entries. */
export function frequentGuestFailure(c: EntryContext): EntryCheck | undefined {
  const quiet =
    (c.injection & INTR_INFO_VALID) === 0 &&
    c.low(field.GUEST_ACTIVITY_STATE) === 0 &&
    c.low(field.GUEST_INTERRUPTIBILITY_INFO) === 0 &&
    c.low(field.GUEST_PENDING_DBG_EXCEPTIONS) === 0 &&
    c.high(field.GUEST_PENDING_DBG_EXCEPTIONS) === 0
  return firstFailure(guestRipChecks, c) ?? (quiet ? undefined : firstFailure(guestNonRegisterChecks, c))
}
