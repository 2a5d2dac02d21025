-- acquire.lua KEYS={grants, pace, pause} ARGV={limit, window_ms, interval_ms, burst, id}: 0 granted, else ms to wait
local clock = redis.call("TIME")
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local limit, window, interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

local paused = redis.call("PTTL", KEYS[3])
if paused > 0 then return paused end

redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - window)
if redis.call("ZCARD", KEYS[1]) >= limit then
  local oldest = redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES")
  return math.max(1, tonumber(oldest[2]) + window - now + 1)
end

local due = math.max(tonumber(redis.call("GET", KEYS[2]) or 0), now)
local early = due - now - (burst - 1) * interval
if early > 0 then return math.ceil(early) end

redis.call("SET", KEYS[2], due + interval, "PX", window)
redis.call("ZADD", KEYS[1], now, ARGV[5])
redis.call("PEXPIRE", KEYS[1], window)
return 0
