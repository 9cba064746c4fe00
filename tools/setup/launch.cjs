'use strict';
// What bin/sluice starts: first the check of Node's version, then the launcher, which an old Node could not even read.
require('./node-version.cjs');
void import('./launch.mjs');
