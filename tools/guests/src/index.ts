export { getGuest, GUESTS, tryGuest, type GetGuestOptions, type GuestFiles } from './guests.ts'
export { GuestUnavailable } from './unavailable.ts'
