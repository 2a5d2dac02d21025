-- flight_renew.lua KEYS={lock} ARGV={token, lock_ms}: 1 still ours, 0 lost
if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return 1
