-- flight_leave.lua KEYS={lock, outcome} ARGV={token, error or "", outcome_ms}: 1 ended ours, 0 lost before
-- A flight that lost its lock has nothing to say any more: somebody else flies.
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("DEL", KEYS[1])
if ARGV[2] ~= "" then
  redis.call("HSET", KEYS[2], "token", ARGV[1], "error", ARGV[2])
  redis.call("PEXPIRE", KEYS[2], ARGV[3])
end
return 1
