-- flight_enter.lua KEYS={lock, fence, outcome} ARGV={token waited for or "", lock_ms}: {"lead", token} | {"wait", token, ms left} | {"failed", error}
-- An outcome is the error of the flight whose token it names; only those who waited for that flight are told.
local outcome = redis.call("HMGET", KEYS[3], "token", "error")
if ARGV[1] ~= "" and outcome[1] == ARGV[1] and outcome[2] then return {"failed", outcome[2]} end
local holder = redis.call("GET", KEYS[1])
if holder then return {"wait", holder, redis.call("PTTL", KEYS[1])} end
-- Tokens begin with the server's time in microseconds: after a flush nobody is taken for somebody of before.
if redis.call("EXISTS", KEYS[2]) == 0 then
  local now = redis.call("TIME")
  redis.call("SET", KEYS[2], now[1] .. string.format("%06d", now[2]))
end
local token = string.format("%.0f", redis.call("INCR", KEYS[2]))
redis.call("PEXPIRE", KEYS[2], 86400000)
redis.call("SET", KEYS[1], token, "PX", ARGV[2])
return {"lead", token}
