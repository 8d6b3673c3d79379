import { Exception } from '@guestmode/x86'

/** Bits of the page-fault error code; PF_WRITE, PF_USER and PF_FETCH also describe an access. */
export const { PF_PRESENT, PF_WRITE, PF_USER, PF_RSVD, PF_FETCH } = Exception
