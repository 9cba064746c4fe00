'use strict';
// Refuses a Node that is too old, in words, before any newer syntax is read: loaded first by the Makefile (`node -r`) and by
// launch.cjs. Written so that any Node can parse it.

var FLOOR = [20, 19, 0];
var version = process.versions.node.split('.').map(Number);

function isBelowFloor() {
  for (var i = 0; i < FLOOR.length; i += 1) {
    if (version[i] !== FLOOR[i]) return version[i] < FLOOR[i];
  }
  return false;
}

if (isBelowFloor()) {
  process.stderr.write(
    'Sluice needs Node ' +
      FLOOR.slice(0, 2).join('.') +
      ' or newer (20, 22 and 24 are tested); this is Node ' +
      process.versions.node +
      ' at ' +
      process.execPath +
      '.\nInstall a newer one (nodejs.org, your system packages, nvm, fnm, volta) and run the same command again.\n',
  );
  process.exit(1);
}
