'use strict'

// Preloaded (`node -r`) before the bootstrap so that a Node of any age says what is wrong with it.
// Everything here is ECMAScript 3 syntax: an old Node must be able to parse it.

var wanted = /(\d+)\.(\d+)/.exec(require('../package.json').engines.node)

function complaint(version) {
  var found = /^v?(\d+)\.(\d+)/.exec(version)
  var major = Number(found[1])
  var minor = Number(found[2])
  var ok = major > Number(wanted[1]) || (major === Number(wanted[1]) && minor >= Number(wanted[2]))
  if (ok) return null
  return (
    'guestmode needs Node ' +
    wanted[1] +
    '.' +
    wanted[2] +
    ' or later, and this is Node ' +
    version.replace(/^v/, '') +
    '.\n' +
    'Install a newer Node (nodejs.org, or your version manager: `nvm install 22`) and run the command again.'
  )
}

module.exports = { complaint: complaint }

var found = complaint(process.version)
if (found) {
  console.error(found)
  process.exit(1)
}
