/**
 * How the program ends. Even numbers, since isa-debug-exit yields odd ones: (value << 1) | 1. A signal that ends the machine ends the
 * process as that signal does.
 */
export const EXIT = {
  powerOff: 0,
  usage: 2,
  noGuest: 4,
  reset: 6,
  tripleFault: 8,
  internalError: 10,
  failure: 12,
} as const

export const EXIT_HELP = `Exit status:
   0   the guest powered itself off, or you quit
   2   the command line or the machine's configuration cannot work
   4   the default guest cannot be had (download, cache)
   6   the guest asked for a reset, under -no-reboot
   8   the guest's processor shut down (triple fault), under -no-reboot
  10   the engine cannot emulate what the guest does
  12   guestmode itself failed
 odd   (VALUE << 1) | 1: the guest wrote VALUE to -device isa-debug-exit
A signal (SIGINT, SIGTERM, SIGHUP) ends the machine and then the process, with the signal as its status.`
