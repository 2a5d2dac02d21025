-- leave.lua KEYS={leases, interactive, sync, warm, backfill} ARGV={id}: a waiter gives up its place; 1 left, 0 was not there
local left = 0
for i = 1, #KEYS do left = left + redis.call("ZREM", KEYS[i], ARGV[1]) end
return left > 0 and 1 or 0
