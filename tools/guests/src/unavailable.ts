/** A guest that cannot be had on this host; tests print the reason and skip. */
export class GuestUnavailable extends Error {
  override readonly name = 'GuestUnavailable'
}
