/**
 * The scripts that Redis runs for a task's state, each one atomic, all keys in one hash slot. They are sent whole with each call (a few
 * hundred bytes, once a flush or a batch of misses): a server that was restarted or replaced then needs no loading.
 *
 * A task's header is a hash `owner, epoch, offset, metadata`; each stateful operator has a hash of its keys' values. Only absolute values
 * are ever written, so a command that arrives twice, or late, finds that the header says otherwise and does nothing.
 *
 * A write sets `began` first and `offset` last. Redis carries both out or neither, but for one case: an append-only file that ends within a transaction (a
 * power failure, a full disk) is cut behind the last whole command of it, its MULTI is left open, and the next start but one carries out
 * what is left of it with whatever was appended since (seen in Redis 7.0.15). The state is then torn, and `began` says so.
 */

/**
 * Takes the task over. KEYS: header. ARGV: owner, lowest epoch that is too low. Gives {epoch, offset or false, metadata or false, false or,
 * where the state is torn, the keys of its hashes}. The same owner asking again is given the epoch it has.
 */
export const claimScript = `
local head = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'offset', 'metadata')
local epoch = tonumber(head[2] or '0')
local floor = tonumber(ARGV[2])
if head[1] ~= ARGV[1] or epoch <= floor then
  epoch = math.max(epoch, floor) + 1
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', string.format('%d', epoch))
end
local began = redis.call('HGET', KEYS[1], 'began')
if not began or began == head[3] then return {epoch, head[3], head[4], false} end
local hashes = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 5) == 'hash ' then hashes[#hashes + 1] = string.sub(field, 6) end
end
return {epoch, head[3], head[4], hashes}
`;

/** What the scripts below ask first: whether the header names this owner. Gives nil where it does. */
const checkOwner = `
local head = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'offset', 'began')
local epoch, own = tonumber(head[2] or '0'), tonumber(ARGV[2])
if epoch > own or (epoch == own and head[1] ~= ARGV[1]) then return 'FENCED' end
if epoch < own then return 'MISMATCH' end
local at = head[3] or ''
`;

/**
 * Applies one step. KEYS: header, then a hash for each operator. ARGV: owner, epoch, offset before, offset after, metadata, then for each
 * operator: how many values to set, how many keys to delete, the keys and values, the keys to delete. An offset of '' is none.
 *
 * Lua hands over a few thousand arguments at a time at most, so the values go in runs of 3,500 keys.
 */
export const writeScript: string = `${checkOwner}
if at == ARGV[4] then return 'ALREADY' end
if at ~= ARGV[3] then return 'MISMATCH' end
local began = {'began', ARGV[4]}
for k = 2, #KEYS do
  began[#began + 1] = 'hash ' .. KEYS[k]
  began[#began + 1] = ''
end
redis.call('HSET', KEYS[1], unpack(began))
local next = 6
for k = 2, #KEYS do
  local sets, deletes = tonumber(ARGV[next]), tonumber(ARGV[next + 1])
  next = next + 2
  local stop = next + 2 * sets
  while next < stop do
    local last = math.min(next + 7000, stop)
    redis.call('HSET', KEYS[k], unpack(ARGV, next, last - 1))
    next = last
  end
  stop = next + deletes
  while next < stop do
    local last = math.min(next + 7000, stop)
    redis.call('HDEL', KEYS[k], unpack(ARGV, next, last - 1))
    next = last
  end
end
redis.call('HSET', KEYS[1], 'offset', ARGV[4], 'metadata', ARGV[5])
return 'OK'
`;

/**
 * Reads values of one operator, and only from the state that this owner believes in: a store that went back would otherwise answer from the
 * past, and the batch would be computed, and committed, on it. KEYS: header, the operator's hash. ARGV: owner, epoch, the two offsets that
 * the state may stand at (two while a write is under way), the keys.
 */
export const readScript: string = `${checkOwner}
if at ~= ARGV[3] and at ~= ARGV[4] then return 'MISMATCH' end
if head[4] and head[4] ~= at then return 'MISMATCH' end
local values = {}
local next = 5
while next <= #ARGV do
  local last = math.min(next + 6999, #ARGV)
  local run = redis.call('HMGET', KEYS[2], unpack(ARGV, next, last))
  for i = 1, #run do values[#values + 1] = run[i] end
  next = last + 1
end
return values
`;

/**
 * Goes a step on through the keys of one operator, and only in the state that this owner believes in. KEYS: header, the operator's hash. ARGV: as for a read, but in the place of keys
 * the cursor and about how many keys. Gives what HSCAN does.
 */
export const scanScript: string = `${checkOwner}
if at ~= ARGV[3] and at ~= ARGV[4] then return 'MISMATCH' end
if head[4] and head[4] ~= at then return 'MISMATCH' end
return redis.call('HSCAN', KEYS[2], ARGV[5], 'COUNT', ARGV[6])
`;

/** Deletes a torn state, so that it is rebuilt from nothing. KEYS: header, then its hashes. ARGV: owner, epoch. */
export const forgetScript: string = `${checkOwner}
for k = 2, #KEYS do redis.call('UNLINK', KEYS[k]) end
redis.call('HDEL', KEYS[1], 'offset', 'metadata', 'began')
return 'OK'
`;

/** Deletes the hashes that the header knows, and what it says of them. */
const deleteHashes = `
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 5) == 'hash ' then
    redis.call('UNLINK', string.sub(field, 6))
    redis.call('HDEL', KEYS[1], field)
  end
end
`;

/** Deletes the hashes that the header knows, and where the state stands. KEYS: header. ARGV: owner, epoch. */
export const clearScript: string = `${checkOwner}${deleteHashes}
redis.call('HDEL', KEYS[1], 'offset', 'metadata', 'began')
return 'OK'
`;

/**
 * Puts hashes that were written beside the task's in their places. KEYS: header, then staged and final hash by turns. ARGV: owner, epoch, offset, metadata. Hashes that the header knows
 * and that are not among them are deleted. One transaction of Redis: whoever dies on the way leaves the former state or the new one.
 */
export const swapScript: string = `${checkOwner}${deleteHashes}
redis.call('HSET', KEYS[1], 'began', ARGV[3])
for k = 2, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[k]) == 1 then
    redis.call('RENAME', KEYS[k], KEYS[k + 1])
    redis.call('HSET', KEYS[1], 'hash ' .. KEYS[k + 1], '')
  else
    redis.call('UNLINK', KEYS[k + 1])
  end
end
redis.call('HSET', KEYS[1], 'offset', ARGV[3], 'metadata', ARGV[4])
return 'OK'
`;
